"""The whole of `make bench` with little data, so that it does not rot: rows and curves of each kind, checks of what comes included. Its figures mean nothing."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path


class Smoke(unittest.TestCase):
    def test_every_kind_of_row(self):
        with tempfile.TemporaryDirectory() as results:
            run = subprocess.run(
                [sys.executable, "-m", "bench", "--scale", "0.002", "--rounds", "1", "--brief", "--results", results], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            results = Path(results)
            rows = json.loads((results / "full.json").read_text())["rows"]
            self.assertEqual([r["id"] for r in rows if "error" in r], [])
            self.assertIn("| float64, 1 stream | GB/s |", (results / "benchmarks.md").read_text())
            for plot in ("benchmarks-ratios.svg", "benchmarks-curves.svg"):
                self.assertIn("</svg>", (results / plot).read_text())


if __name__ == "__main__":
    unittest.main()
