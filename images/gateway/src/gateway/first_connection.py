"""The first connection of a job. A pod is refused until the network knows it, which takes a second or two after its start."""

from __future__ import annotations

import time
import typing as t

import psycopg

__all__ = ("connect",)

SECONDS = 30.0
PAUSE = 0.5
# Only a person can mend these.
_FINAL = ("authentication failed", "does not exist", "no password supplied")


def connect(conninfo: str = "", *, seconds: float = SECONDS, **settings: t.Any) -> psycopg.Connection[t.Any]:
    """Try for a while, for as long as nobody answers; an answer that refuses the login is believed at once."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(conninfo, **settings)
        except psycopg.OperationalError as exc:
            if time.monotonic() >= deadline or any(text in str(exc) for text in _FINAL):
                raise
            time.sleep(PAUSE)
