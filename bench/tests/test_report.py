import unittest

from bench.curves import Curve
from bench.report import between, curves_markdown, table_markdown
from bench.stats import Figure, compare, summary
from bench.table import Row, rows


class Report(unittest.TestCase):
    def test_table(self):
        speed, cpu = Figure("GB/s", "GB/s", 1.1), Figure("CPU s/GB", "s/GB", 0.85, at_most=True)
        row = Row("a", "float64", [speed, cpu], group="DoGet")
        other = Row("b", "broken", [speed], group="DoGet", note="why")
        compared = [compare(speed, [2, 3, 4], [2, 2, 2]), compare(cpu, [1, 1, 1], [1, 1, 1])]
        self.assertEqual(table_markdown([(row, compared), (other, None)]).splitlines()[2:], [
            "| **DoGet** | | | | | | |",
            "| float64 | GB/s | 3.00 (2.50–3.50) | 2.00 (2.00–2.00) | 1.50 | ≥ 1.1 | ✓ |",
            "|  | CPU s/GB | 1.00 (1.00–1.00) | 1.00 (1.00–1.00) | 1.00 | ≤ 0.85 | missed |",
            "| broken (why) | failed | | | | | |",
        ])

    def test_curves(self):
        def side(cpu):
            return {"CPU s/GB": summary([cpu]), "client CPU s/GB": summary([0.5]), "busy": summary([0.876])}

        curve = Curve("c", "Streams", "streams", [], "The client.")
        points = [(x, {"ours": side(0.1 * x), "pyarrow": side(0.2)}) for x in (1, 2, 4)]
        self.assertEqual(curves_markdown([(curve, points)]).splitlines()[2:], [
            "| Streams | The client. | 1 streams | flightruntime | 0.10 | 0.50 | 88 % |",
            "|  |  | 1 streams | pyarrow | 0.20 | 0.50 | 88 % |",
            "|  |  | 4 streams | flightruntime | 0.40 | 0.50 | 88 % |",
            "|  |  | 4 streams | pyarrow | 0.20 | 0.50 | 88 % |",
        ])

    def test_only_what_stands_between_the_markers_is_written(self):
        page = "before\n<!-- x: written by make bench -->\nold \\1\n<!-- end of x -->\nafter\n"
        once = between(page, "x", "new \\1")
        self.assertEqual(once, "before\n<!-- x: written by make bench -->\nnew \\1\n<!-- end of x -->\nafter\n")
        self.assertEqual(between(once, "x", "new \\1"), once)
        with self.assertRaisesRegex(ValueError, "written by make bench"):
            between(page, "y", "new")

    def test_ids_are_the_rows_own(self):
        ids = [r.id for r in rows()]
        self.assertEqual(len(ids), len(set(ids)))
