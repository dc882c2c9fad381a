"""python -m bench: see `make bench`."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench import curves, processes, report, run, table
from bench.data import Data
from bench.stats import summary

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flight-operator" / "bench"
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"


def arguments():
    p = argparse.ArgumentParser(prog="bench", description="flightruntime against pyarrow's own server")
    p.add_argument("--quick", action="store_true", help="a subset, in less than five minutes; the page and its plots stay as they are")
    p.add_argument("--rows", default="", help="ids of rows, or beginnings of ids, separated by commas; all if left out")
    p.add_argument("--rounds", type=int, help="samples of each side: 7, or 3 with --quick")
    p.add_argument("--scale", type=float, default=1.0, help="of the data: 1 is what the table says")
    p.add_argument("--brief", action="store_true", help="to test the machinery: one row of each kind, and figures mean nothing")
    p.add_argument("--redraw", type=Path, metavar="JSON", help="measure nothing: write the page and its plots anew, of what a run wrote")
    p.add_argument("--results", type=Path, help="the folder for JSON and plots; bench/results and docs if left out")
    p.add_argument("--profile", type=Path, metavar="FOLDER", help="also write CPU profiles of ours, for go tool pprof")
    return p.parse_args()


def build(folder):
    """The command as the image has it, and the load client."""
    for package in ("./cmd/flightruntime", "./bench/load"):
        subprocess.run(["go", "build", "-trimpath", "-o", f"{folder}/", package], cwd=ROOT, check=True,
                       env=os.environ | {"CGO_ENABLED": "0"})
    return folder / "flightruntime", folder / "load"


def tell(row, comparisons):
    print(f"{row.id:24} {row.title if row.title != row.id else ''}", flush=True)
    for c in comparisons or []:
        f = c.figure
        theirs = report.spread(c.theirs, f.digits) if c.theirs else ""
        ratio = f"{c.ratio:.2f}" if c.ratio is not None else ""
        mark = {True: "reached", False: "MISSED", None: ""}[c.reached]
        print(f"    {f.name:20} {report.spread(c.ours, f.digits):>32} {theirs:>32} {ratio:>8}  {report.goal_text(f):8} {mark}", flush=True)


def drawn(wanted, results):
    """The curves all of whose points were measured: (curve, [(x, {side: {figure: Summary}})])."""
    by_id = {r["id"]: r.get("samples") for r in results}
    for curve in wanted:
        points = [(x, {side: {f: summary(v) for f, v in figures.items()} for side, figures in by_id[row.id].items()})
                  for x, row in curve.points if by_id.get(row.id)]
        if len(points) == len(curve.points):
            yield curve, points


def write_page(run_of, rows, all_curves, page, plots):
    """The page and its plots, of what a run wrote as JSON."""
    from bench import plot

    results = run_of["rows"]
    by_id = {r["id"]: r for r in results}
    compared = [(row, run.comparisons(row, by_id[row.id]["samples"]) if "samples" in by_id[row.id] else None) for row in rows if row.id in by_id]
    plot.ratios(compared, plots / "benchmarks-ratios.svg")
    lines = list(drawn(all_curves, results))
    text = report.between(PAGE.read_text(), "machine", report.machine_text(run_of["about"]))
    text = report.between(text, "table", report.table_markdown(compared))
    if lines:
        plot.curves(lines, plots / "benchmarks-curves.svg")
        text = report.between(text, "curves", report.curves_markdown(lines))
    page.write_text(text)


def write(args, about, results, rows, all_curves):
    folder = args.results or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ("quick.json" if args.quick else "full.json")
    file.write_text(report.as_json(about | {"scale": args.scale, "rounds": args.rounds}, results))
    if args.results:
        write_page(json.loads(file.read_text()), rows, all_curves, args.results / "benchmarks.md", args.results)
    elif not args.quick:
        write_page(json.loads(file.read_text()), rows, all_curves, PAGE, PAGE.parent)


def main():
    args = arguments()
    if args.redraw:
        write_page(json.loads(args.redraw.read_text()), table.rows(), curves.curves(), PAGE, PAGE.parent)
        return 0
    args.rounds = args.rounds or (3 if args.quick else 7)
    wanted = tuple(args.rows.split(","))
    rows = [r for r in table.rows() if (r.quick or not args.quick) and r.id.startswith(wanted)]
    all_curves = [] if args.quick else curves.curves()
    points = [row for c in all_curves for _, row in c.points if row.id.startswith(wanted)]
    if args.brief:
        rows, all_curves = [r for r in rows if r.quick or isinstance(r, (table.Crowd, table.PyarrowCalls))], [c.brief() for c in all_curves]
        points = [row for c in all_curves for _, row in c.points]
        for row in rows + points:
            row.brief()
    # A signal ends the run as an error does: what was started is stopped and what was written is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if args.profile:
        args.profile.mkdir(parents=True, exist_ok=True)
    scratch = processes.Scratch(CACHE)
    begin = time.monotonic()
    about = report.machine(ROOT)
    try:
        binaries = build(scratch.path)
        data = Data(CACHE, args.scale)
        results = run.run_rows(rows, data, scratch, binaries, args.rounds, tell, args.profile)
        results += run.run_rows(points, data, scratch, binaries, min(3, args.rounds), tell)
    finally:
        scratch.close()
    # A run of some rows tells, and leaves what was written of whole runs.
    if args.results or not args.rows:
        write(args, about, results, rows, all_curves)
    print(f"{time.monotonic() - begin:.0f} s")
    return 1 if any("error" in r for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
