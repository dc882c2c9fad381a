"""python -m bench: see `make bench`."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench import processes, run, table
from bench.data import Data

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flight-operator" / "bench"


def arguments():
    p = argparse.ArgumentParser(prog="bench", description="flightruntime against pyarrow's own server")
    p.add_argument("--quick", action="store_true", help="a subset, in less than five minutes")
    p.add_argument("--rows", default="", help="ids of rows, or beginnings of ids, separated by commas; all if left out")
    p.add_argument("--rounds", type=int, help="samples of each side: 7, or 3 with --quick")
    p.add_argument("--scale", type=float, default=1.0, help="of the data: 1 is what the table says")
    p.add_argument("--binary", type=Path, help="the flightruntime to measure; built if left out")
    return p.parse_args()


def build(folder):
    """The command as the image has it."""
    path = folder / "flightruntime"
    subprocess.run(["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/flightruntime"], cwd=ROOT, check=True,
                   env=os.environ | {"CGO_ENABLED": "0"})
    return path


def tell(row, comparisons):
    print(f"{row.id:24} {row.title}", flush=True)
    for c in comparisons or []:
        f = c.figure
        theirs = f"{c.theirs.median:12.{f.digits}f} [{c.theirs.low:.{f.digits}f}..{c.theirs.high:.{f.digits}f}]" if c.theirs else ""
        goal = "" if f.goal is None else f"goal {'<=' if f.at_most else '>='} {f.goal:g} {'reached' if c.reached else 'MISSED'}"
        print(f"    {f.name:20} {c.ours.median:12.{f.digits}f} [{c.ours.low:.{f.digits}f}..{c.ours.high:.{f.digits}f}] against {theirs}"
              f"  ratio {c.ratio or 0:.2f}  {goal}", flush=True)


def main():
    args = arguments()
    rounds = args.rounds or (3 if args.quick else 7)
    wanted = tuple(args.rows.split(","))
    rows = [r for r in table.rows() if (r.quick or not args.quick) and r.id.startswith(wanted)]
    # A signal ends the run as an error does: what was started is stopped and what was written is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scratch = processes.Scratch(CACHE)
    begin = time.monotonic()
    try:
        binary = args.binary or build(scratch.path)
        run.run_rows(rows, Data(CACHE, args.scale), scratch, binary, rounds, tell)
    finally:
        scratch.close()
    print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
