import unittest

from bench.report import between, table_markdown
from bench.stats import Figure, compare
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
