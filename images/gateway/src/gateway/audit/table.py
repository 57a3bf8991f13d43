"""Decisions and facts, counted as they come: group x what was true x what was predicted, from which every metric follows."""

from __future__ import annotations

import dataclasses
import typing as t

from gateway.audit.labels import label_text

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.audit.decisions import Decision
    from gateway.audit.facts import Fact

__all__ = ("MAX_VALUES", "Counts", "Table")

# An attribute may hold whatever clients send. The values that come after so many others are no groups of their own.
MAX_VALUES = 1000


@dataclasses.dataclass(frozen=True)
class Counts:
    """How many decisions of a group fall where. The four with an outcome, and those without by what was predicted."""

    group: str
    true_positive: int = 0
    false_positive: int = 0
    true_negative: int = 0
    false_negative: int = 0
    open_positive: int = 0
    open_negative: int = 0

    @property
    def decisions(self) -> int:
        return self.labelled + self.open_positive + self.open_negative

    @property
    def positives(self) -> int:
        """Decisions whose outcome turned out favourable."""
        return self.true_positive + self.false_negative

    @property
    def negatives(self) -> int:
        return self.false_positive + self.true_negative

    @property
    def labelled(self) -> int:
        return self.positives + self.negatives


class Table:
    """The decisions of one version of one model in the window. Its size depends on the attributes' values, not on how many decide."""

    def __init__(self, attributes: Sequence[str], *, target: str, favourable: str | bool | float) -> None:
        self.decisions = 0
        self.labelled = 0
        self.unreadable = 0  # without a usable prediction, and not among the decisions
        self._target, self._favourable = target, label_text(favourable)
        self._attributes = {name: _Attribute() for name in attributes}

    def add(self, decision: Decision, fact: Fact | None) -> None:
        """A prediction that is no label makes the decision unreadable: it is counted, not guessed."""
        try:
            predicted = label_text(decision.output.get(self._target)) == self._favourable
        except ValueError:
            self.unreadable += 1
            return
        outcome = fact.outcome if fact else None
        self.decisions += 1
        self.labelled += outcome is not None
        cell = _cell(predicted, None if outcome is None else outcome == self._favourable)
        values = (fact.values if fact else None) or {}
        for name, attribute in self._attributes.items():
            attribute.add(values.get(name), cell)

    def groups(self, attribute: str) -> tuple[Counts, ...]:
        """By name."""
        cells = self._attributes[attribute].cells
        return tuple(Counts(group, *cells[group]) for group in sorted(cells))

    def missing(self, attribute: str) -> int:
        """Decisions that have no value of it."""
        return self._attributes[attribute].missing

    def late(self, attribute: str) -> int:
        """Decisions that are in no group, since their value came after MAX_VALUES others."""
        return self._attributes[attribute].late


@dataclasses.dataclass
class _Attribute:
    cells: dict[str, list[int]] = dataclasses.field(default_factory=dict)  # by group, in the order of Counts
    missing: int = 0
    late: int = 0

    def add(self, value: t.Any, cell: int) -> None:
        try:
            group = label_text(value)
        except ValueError:
            self.missing += 1
            return
        if group not in self.cells:
            if len(self.cells) >= MAX_VALUES:
                self.late += 1
                return
            self.cells[group] = [0] * len(_CELLS)
        self.cells[group][cell] += 1


_CELLS = tuple(field.name for field in dataclasses.fields(Counts))[1:]


def _cell(predicted: bool, actual: bool | None) -> int:
    if actual is None:
        return _CELLS.index("open_positive" if predicted else "open_negative")
    if actual:
        return _CELLS.index("true_positive" if predicted else "false_negative")
    return _CELLS.index("false_positive" if predicted else "true_negative")
