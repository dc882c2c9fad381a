"""What is written of a run: JSON, and the parts of docs/benchmarks.md that stand between markers."""

import json
import os
import platform
import re
import subprocess
from pathlib import Path

import pyarrow as pa


def machine(root):
    """The machine and the versions, without names of hosts or places."""
    def module(path):
        return subprocess.run(["go", "list", "-m", "-f", "{{.Version}}", path], cwd=root, check=True, capture_output=True, text=True).stdout.strip()

    def line(path, start):
        return next((text.partition(":")[2].strip() for text in Path(path).read_text().splitlines() if text.startswith(start)), "unknown")

    return {
        "cpu": line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        # load: that of the last minute before the run, from which one sees whether others work on the machine.
        "load": round(os.getloadavg()[0], 1),
        "memory GiB": round(int(line("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)),
        "kernel": platform.release().split("-")[0],
        "congestion control": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "go": subprocess.run(["go", "env", "GOVERSION"], cwd=root, check=True, capture_output=True, text=True).stdout.strip(),
        "arrow-go": module("github.com/apache/arrow-go/v18"),
        "grpc-go": module("google.golang.org/grpc"),
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
    }


def machine_text(m):
    return (f"{m['cores']} cores ({m['cpu']}), {m['memory GiB']} GiB, Linux {m['kernel']}; {m['go']}, arrow-go {m['arrow-go']}, grpc-go {m['grpc-go']}; "
            f"pyarrow {m['pyarrow']} on Python {m['python']}. Clients and servers share the machine, over loopback"
            + (f" with TCP's congestion control {m['congestion control']}" if "congestion control" in m else "") + "."
            + (f" Load average before the run: {m['load']}." if "load" in m else ""))


def spread(s, digits):
    return f"{s.median:,.{digits}f} ({s.low:,.{digits}f}–{s.high:,.{digits}f})"


def goal_text(f):
    if f.goal is None:
        return ""
    return f"{'≤' if f.at_most else '≥'} {f.goal:g}{' ' + f.unit if f.of_ours else ''}"


def table_markdown(results):
    """results: (row, comparisons or None where it failed), in order."""
    lines = ["| Workload | Figure | flightruntime | pyarrow | Ratio | Goal | |", "| --- | --- | ---: | ---: | ---: | ---: | --- |"]
    group = None
    for row, compared in results:
        if row.group != group:
            group = row.group
            lines.append(f"| **{group}** | | | | | | |")
        title = row.title + (f" ({row.note})" if row.note else "")
        if compared is None:
            lines.append(f"| {title} | failed | | | | | |")
        for c in compared or []:
            theirs = spread(c.theirs, c.figure.digits) if c.theirs else ""
            ratio = f"{c.ratio:.2f}" if c.ratio is not None else ""
            mark = {True: "✓", False: "missed", None: ""}[c.reached]
            lines.append(f"| {title} | {c.figure.name} | {spread(c.ours, c.figure.digits)} | {theirs} | {ratio} | {goal_text(c.figure)} | {mark} |")
            title = ""
    return "\n".join(lines)


def curves_markdown(drawn):
    """drawn: (curve, [(x, {side: {figure: Summary}})]). For each curve its sentence, and what it is taken from: the first and the last point."""
    lines = ["| Curve | What bounds it | At | | Server CPU s/GB | Client CPU s/GB | Of all cores |", "| --- | --- | --- | --- | ---: | ---: | ---: |"]
    for curve, points in drawn:
        title, bound = curve.title, curve.bound
        for x, sides in (points[0], points[-1]):
            for side, name in (("ours", "flightruntime"), ("pyarrow", "pyarrow")):
                figures = sides[side]
                lines.append(f"| {title} | {bound} | {x:,} {curve.x} | {name} | {figures['CPU s/GB'].median:.2f} | {figures['client CPU s/GB'].median:.2f} | "
                             f"{100 * figures['busy'].median:.0f} % |")
                title = bound = ""
    return "\n".join(lines)


def between(text, name, content):
    """text with what stands between the markers of a name replaced."""
    begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
    if not pattern.search(text):
        raise ValueError(f"expected the line {begin!r} and, after it, {end!r}")
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", text)


def as_json(about, results):
    """results as run.run_rows gives them."""
    return json.dumps({"about": about, "rows": results}, indent=1, sort_keys=True) + "\n"
