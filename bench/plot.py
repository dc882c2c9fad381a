"""The plots of docs/benchmarks.md, as SVG."""

import matplotlib

matplotlib.use("Agg")
# Text stays text, and the same figures give the same file.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plt  # noqa: E402

OURS, THEIRS, MISSED = "#1b6ca8", "#e07b39", "#b0b0b0"


def save(figure, path):
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None} if str(path).endswith(".svg") else None)
    plt.close(figure)


def ratios(results, path):
    """A bar for each figure that has a goal as a ratio: ours / pyarrow's, the goal as a line across it. Longer is better: where less is better, the
    ratio is turned round."""
    bars = []
    for row, compared in results:
        for c in compared or []:
            if c.figure.goal is None or c.figure.of_ours or not c.ratio:
                continue
            ratio, goal = (1 / c.ratio, 1 / c.figure.goal) if c.figure.at_most else (c.ratio, c.figure.goal)
            bars.append((f"{row.group.split(',')[0]}: {row.title} · {c.figure.name}", ratio, goal, c.reached))
    figure, axes = plt.subplots(figsize=(9, 0.22 * len(bars) + 1))
    for y, (_, ratio, goal, reached) in enumerate(bars):
        axes.barh(y, ratio - 1, left=1, height=0.7, color=OURS if reached else MISSED)
        axes.plot([goal, goal], [y - 0.45, y + 0.45], color="black", linewidth=1.5)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}×")
    axes.set_yticks(range(len(bars)), [b[0] for b in bars], fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("how many times better than pyarrow's server; black: the goal; grey: missed")
    save(figure, path)


def curves(drawn, path):
    """drawn: (curve, [(x, {side: {figure: Summary}})]). Small multiples of throughput."""
    across = 3
    figure, grid = plt.subplots((len(drawn) + across - 1) // across, across, figsize=(11, 3.2 * ((len(drawn) + across - 1) // across)), squeeze=False)
    cells = list(grid.flat)
    for axes, (curve, points) in zip(cells, drawn):
        for side, color, label in (("ours", OURS, "flightruntime"), ("pyarrow", THEIRS, "pyarrow")):
            xs = [x for x, _ in points]
            axes.plot(xs, [s[side]["GB/s"].median for _, s in points], color=color, marker="o", markersize=3, label=label)
            axes.fill_between(xs, [s[side]["GB/s"].low for _, s in points], [s[side]["GB/s"].high for _, s in points], color=color, alpha=0.2, linewidth=0)
        axes.set_xscale("log", base=10 if curve.id == "dataset" else 2)
        axes.set_xticks([x for x, _ in points], [short(x) for x, _ in points])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_title(curve.title, fontsize=9)
        axes.set_xlabel(curve.x)
        axes.set_ylabel("GB/s")
    for axes in cells[len(drawn):]:
        axes.axis("off")
    cells[0].legend(frameon=False)
    figure.tight_layout()
    save(figure, path)


def short(x):
    for size, letter in ((1 << 20, "Mi"), (1 << 10, "Ki")):
        if x >= size and x % size == 0:
            return f"{x // size}{letter}"
    return f"{x:g}"
