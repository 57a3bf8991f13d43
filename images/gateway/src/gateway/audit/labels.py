"""One way to write a label as text, so that a prediction, an outcome and a policy's `favourable` compare. Standard library only."""

from __future__ import annotations

import math

__all__ = ("label_text",)


def label_text(value: object) -> str:
    """Text of a label: text stays, true is "true", 1 and 1.0 are "1". Anything that is no label is a ValueError."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    raise ValueError(f"a label is text, a truth value or a finite number, not {type(value).__name__}")
