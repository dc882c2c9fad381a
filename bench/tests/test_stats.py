import unittest

from bench.stats import Figure, compare, quantile, summary


class Statistics(unittest.TestCase):
    def test_quantiles_are_linear_between_samples(self):
        for values, q, want in (([7], 0.99, 7), ([1, 2, 3], 0.5, 2), ([4, 1, 3, 2], 0.5, 2.5), ([1, 2, 3, 4, 5], 0.25, 2), ([5, 1], 1, 5), ([5, 1], 0, 1)):
            with self.subTest(values=values, q=q):
                self.assertEqual(quantile(values, q), want)

    def test_summary_has_the_median_and_the_quartiles(self):
        s = summary([5, 1, 4, 2, 3])
        self.assertEqual((s.median, s.low, s.high, s.samples), (3, 2, 4, 5))

    def test_one_outlier_moves_neither_side_nor_ratio(self):
        c = compare(Figure("GB/s", "GB/s"), [2, 2, 2, 2, 100], [1, 1, 1, 1, 0.01])
        self.assertEqual(c.ratio, 2)

    def test_goals(self):
        more = Figure("GB/s", "GB/s", goal=1.2)
        less = Figure("CPU", "s", goal=0.8, at_most=True)
        bound = Figure("peak", "MiB", goal=512, at_most=True, of_ours=True)
        for figure, ours, theirs, reached in (
            (more, [1.2], [1.0], True),
            (more, [1.1], [1.0], False),
            (less, [0.8], [1.0], True),
            (less, [0.9], [1.0], False),
            (bound, [500], [100], True),
            (bound, [513], [10_000], False),
            (Figure("GB/s", "GB/s"), [1], [1], None),
            (more, [1], [0], None),  # there is no ratio to nothing
        ):
            with self.subTest(figure=figure.name, ours=ours):
                self.assertIs(compare(figure, ours, theirs).reached, reached)

    def test_a_figure_of_ours_alone_has_no_ratio(self):
        c = compare(Figure("x", ""), [1, 2, 3], [])
        self.assertEqual((c.ours.median, c.theirs, c.ratio, c.reached), (2, None, None, None))
