"""What the person at the screen sees: one line a step with its time, and totals that add up."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field

__all__ = ("Tally", "clock", "say")

_lock = threading.Lock()


def say(text: str) -> None:
    """A whole line at once, also where two linters end at the same moment."""
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def clock(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


@dataclass(frozen=True)
class Tally:
    passed: int = 0
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def failed(self) -> int:
        return len(self.failures)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.passed + other.passed, self.failures + other.failures, self.notes + other.notes)

    def __str__(self) -> str:
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        return f"{self.passed + self.failed} ran, {self.passed} passed, {self.failed} failed{notes}"
