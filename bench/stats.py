"""What is made of samples. Nothing here measures."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """What a row of the table measures, and the goal of ours / pyarrow's."""

    name: str
    unit: str
    goal: float | None = None
    # at_most: less is better, and the goal an upper bound.
    at_most: bool = False
    # of_ours: the goal is one of our own value, not of the ratio.
    of_ours: bool = False
    digits: int = 2


@dataclass(frozen=True)
class Summary:
    """Samples of one figure on one side."""

    median: float
    low: float
    high: float
    samples: int


def quantile(values, q):
    """The q-quantile, linear between the two samples next to it."""
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def summary(values):
    """The median and, as the spread, the quartiles."""
    return Summary(median(values), quantile(values, 0.25), quantile(values, 0.75), len(values))


@dataclass(frozen=True)
class Comparison:
    """Both sides of one figure. pairs are the ratios of samples that were taken one after the other."""

    figure: Figure
    ours: Summary
    theirs: Summary | None
    ratio: float | None
    reached: bool | None


def compare(figure, ours, theirs):
    """Medians against each other. theirs may be empty, where only ours has the figure."""
    a = summary(ours)
    b = summary(theirs) if theirs else None
    ratio = a.median / b.median if b and b.median else None
    judged = a.median if figure.of_ours else ratio
    reached = None
    if figure.goal is not None and judged is not None:
        reached = judged <= figure.goal if figure.at_most else judged >= figure.goal
    return Comparison(figure, a, b, ratio, reached)
