"""Decision ids: UUIDs of version 7 (RFC 9562), which sort by time. Python has its own from 3.14 on."""

from __future__ import annotations

import os
import re
import threading
import time

__all__ = ("first_of", "is_uuid", "uuid7")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_lock = threading.Lock()
_last = 0


def uuid7() -> str:
    """Rising within this process, also within one millisecond and when the clock steps back."""
    global _last
    with _lock:
        # 48 bits of milliseconds, then 12 bits of their fraction
        stamp = max(_stamp(time.time_ns()), _last + 1)
        _last = stamp
    number = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62
    return _text(number | int.from_bytes(os.urandom(8)) >> 2)


def first_of(unix_seconds: float) -> str:
    """The lowest id of a moment: a bound for what is older."""
    return _text(_stamp(int(unix_seconds * 1e9)) >> 12 << 80 | 0x7 << 76 | 0b10 << 62)


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def _stamp(nanoseconds: int) -> int:
    millis, rest = divmod(nanoseconds, 1_000_000)
    return millis << 12 | rest * 4096 // 1_000_000


def _text(number: int) -> str:
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
