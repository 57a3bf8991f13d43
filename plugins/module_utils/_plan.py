# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What plans have in common that are a list of steps: a check and a real run, a diff and a log all read from it. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

__all__ = ("StepPlan",)

StepT = t.TypeVar("StepT")


@dataclass(frozen=True)
class StepPlan(t.Generic[StepT]):
    """Steps in their order, each of which says what it does as text."""

    steps: tuple[StepT, ...]
    before: t.Mapping[str, t.Any]
    after: t.Mapping[str, t.Any]

    @property
    def changed(self) -> bool:
        return bool(self.steps)

    @property
    def actions(self) -> list[str]:
        return [str(step) for step in self.steps]

    @property
    def diff(self) -> dict[str, t.Any]:
        return {"before": dict(self.before), "after": dict(self.after)}
