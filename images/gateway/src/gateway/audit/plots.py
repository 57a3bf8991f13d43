"""Pictures of one comparison: rates by group, each with its interval and with what it rests on."""

from __future__ import annotations

import io
import typing as t

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.audit.metrics import Comparison, GroupRates

__all__ = ("TITLES", "plot_comparison")

TITLES = {
    "selection_rate": "favourable answers",
    "accuracy": "right answers",
    "false_positive_rate": "wrongly favourable",
    "false_negative_rate": "wrongly unfavourable",
}
_COLOUR = "#2f6f9f"


def plot_comparison(comparison: Comparison) -> bytes:
    """A PNG with a panel for each rate that is known in any group."""
    shown = comparison.groups
    panels = [name for name in TITLES if any(group.rates[name].value is not None for group in shown)]
    # metadata off: the same numbers give the same bytes
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans", "svg.hashsalt": "audit"}):
        height = max(1.8, 0.45 * len(shown) + 1.2)
        figure = Figure(figsize=(3.2 * max(len(panels), 1), height), layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(f"{comparison.attribute}: share of decisions, with 95 % interval", fontsize=10)
        for index, name in enumerate(panels):
            _draw(figure.add_subplot(1, len(panels), index + 1), name, shown, first=index == 0)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: t.Any, name: str, groups: Sequence[GroupRates], *, first: bool) -> None:
    known = [(index, group.rates[name]) for index, group in enumerate(groups) if group.rates[name].value is not None]
    values = [rate.value or 0.0 for _index, rate in known]
    # a percentile interval need not hold the value itself: never a negative length
    below = [
        max(value - (rate.low if rate.low is not None else value), 0.0)
        for value, (_i, rate) in zip(values, known, strict=True)
    ]
    above = [
        max((rate.high if rate.high is not None else value) - value, 0.0)
        for value, (_i, rate) in zip(values, known, strict=True)
    ]
    places = [index for index, _rate in known]
    axes.barh(places, values, color=_COLOUR, alpha=0.35, height=0.6)
    axes.errorbar(values, places, xerr=[below, above], fmt="o", color=_COLOUR, markersize=4, capsize=3)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(groups) - 0.4)
    axes.invert_yaxis()
    axes.set_title(TITLES[name], fontsize=9)
    axes.set_yticks(range(len(groups)), [_label(group) for group in groups] if first else [""] * len(groups))
    axes.grid(axis="x", alpha=0.3)


def _label(group: GroupRates) -> str:
    name = group.counts.group if len(group.counts.group) <= 24 else group.counts.group[:23] + "…"
    # matplotlib would read dollars as the borders of a formula
    return name.replace("$", r"\$") + f" ({group.counts.decisions})"
