"""Runs rows of the table: both servers up, what they answer checked, then samples of one and the other in turn."""

import json
import socket
import subprocess
import sys
import threading
import traceback
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.data import Data
from bench.stats import compare


@dataclass
class Env:
    """What a row may use: the data, a folder of its own, the command under test, and a certificate for both sides."""

    data: Data
    scratch: Path
    flightruntime: Path
    load: Path
    certificate: Path  # a folder with tls.crt and tls.key
    profiles: Path | None = None  # a folder for CPU profiles of ours
    profiler: str = ""  # where ours then answers /debug/pprof/


def make_certificate(folder):
    """A self-signed certificate for 127.0.0.1, for this run alone."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=bench",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        check=True, capture_output=True)
    return folder


def our_args(env, row, datasets):
    """The command under test with a manifest, as it runs in a pod but for the listening address."""
    spec = {"datasets": [{"name": d.name, **d.ours} for d in datasets]}
    if any("cache" in d.ours for d in datasets):
        spec["cache"] = {kind: {"sizeLimit": "4Gi"} for kind in ("memory", "disk")}  # room for all that is measured
    if limits := row.limits():
        spec["limits"] = limits
    args = [env.flightruntime, "serve", "--listen", f"{scheme(row)}://127.0.0.1:0", "--volume", f"data={env.data.folder}",
            "--volume", f"ours={env.scratch if not (env.scratch / 'ours').exists() else env.scratch / 'ours'}"]
    if env.profiles:
        args += ["--pprof", env.profiler]
    if row.tls:
        spec["tls"] = {"secretRef": {"name": "bench"}}
        args += ["--secret", f"bench={env.certificate}"]
    manifest = {"apiVersion": "flightoperator.dev/v1alpha1", "kind": "FlightServer", "metadata": {"name": "bench"}, "spec": spec}
    path = env.scratch / "manifest.yaml"
    path.write_text(json.dumps(manifest))
    return [*args, "-f", path]


def their_args(env, row, datasets):
    tls = {"certificate": str(env.certificate / "tls.crt"), "key": str(env.certificate / "tls.key")} if row.tls else None
    config = {"listen": f"{scheme(row)}://127.0.0.1:0", "tls": tls, "datasets": [{"name": d.name, **d.theirs} for d in datasets]}
    path = env.scratch / "pyserver.json"
    path.write_text(json.dumps(config))
    return [sys.executable, "-m", "bench.pyserver", path]


def scheme(row):
    return "grpc+tls" if row.tls else "grpc"


class Side:
    """One of the two servers, and its clients."""

    def __init__(self, name, env, args, row):
        self.name, self.env, self.args = name, env, args
        self.ca = str(env.certificate / "tls.crt") if row.tls else None
        self.client_environment = row.client_environment
        self.started = []
        self.server = self.another_server()
        self.pool = []

    def another_server(self):
        server = processes.Server(self.name, self.args, self.env.scratch / f"{self.name}.log")
        self.started.append(server)
        return server

    def another_client(self, location):
        client = processes.Client(location, self.ca, self.client_environment)
        self.started.append(client)
        return client

    def clients(self, n):
        """n client processes."""
        while len(self.pool) < n:
            self.pool.append(self.another_client(self.server.location))
        return self.pool[:n]

    @property
    def client(self):
        return self.clients(1)[0]

    def close(self):
        for p in reversed(self.started):
            p.stop()


def run_row(row, env, rounds):
    """Samples of a row: {"ours": {figure: [values]}, "pyarrow": ...}. The order of the two changes with each round, so that drift hits both."""
    sides, samples = start(row, env), {}
    try:
        for side in sides:
            row.check(side)
        warm_up(row, sides)
        for i in range(min(rounds, 3) if row.own_processes else rounds):
            if row.anew and i > 0:
                close(sides)
                sides = start(row, env)
                warm_up(row, sides)
            for side in sides if i % 2 == 0 else reversed(sides):
                for figure, value in row.sample(side).items():
                    samples.setdefault(side.name, {}).setdefault(figure, []).append(value)
        if env.profiles:
            profile(row, sides[0])
    finally:
        close(sides)
    return samples


def start(row, env):
    """Both sides, serving."""
    datasets = row.datasets(env)
    sides = []
    try:
        for name, args in (("ours", our_args), ("pyarrow", their_args)):
            sides.append(Side(name, env, args(env, row, datasets), row))
        for side in sides:
            side.client.ask("locate", location=side.server.location, wait_for=row.ready(datasets))
    except BaseException:
        close(sides)
        raise
    return sides


def warm_up(row, sides):
    for side in sides:
        if not row.own_processes:
            row.sample(side)


def close(sides):
    for side in sides:
        side.close()


PROFILE_SECONDS = 5


def profile(row, ours):
    """Writes a CPU profile of our server while the row is sampled, for `go tool pprof`."""
    def fetch():
        with urllib.request.urlopen(f"http://{ours.env.profiler}/debug/pprof/profile?seconds={PROFILE_SECONDS}") as answer:
            (ours.env.profiles / f"{row.id}.pprof").write_bytes(answer.read())

    fetching = threading.Thread(target=fetch)
    fetching.start()
    while fetching.is_alive():
        row.sample(ours)


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % s.getsockname()[1]


def comparisons(row, samples):
    return [compare(f, samples["ours"][f.name], samples["pyarrow"].get(f.name)) for f in row.figures if f.name in samples["ours"]]


def run_rows(rows, data, scratch, binaries, rounds, tell, profiles=None):
    """Runs rows one after the other. A row that fails tells why and leaves the others alone. tell(row, comparisons or None) as each ends."""
    certificate = make_certificate(scratch.folder("certificate"))
    results = []
    for row in rows:
        env = Env(data, scratch.folder(row.id), *binaries, certificate, profiles, free_address() if profiles else "")
        try:
            samples = run_row(row, env, rounds)
            results.append({"id": row.id, "group": row.group, "title": row.title, "samples": samples})
            tell(row, comparisons(row, samples))
        except Exception as e:
            traceback.print_exc()
            results.append({"id": row.id, "group": row.group, "title": row.title, "error": f"{type(e).__name__}: {e}"})
            tell(row, None)
        finally:
            scratch.remove(row.id)
    return results
