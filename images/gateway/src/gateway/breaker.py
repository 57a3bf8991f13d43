"""Leave a server that just failed alone for a while: nobody waits for the same timeout twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

__all__ = ("Breaker",)

_LOG = logging.getLogger("gateway.cache")


class Breaker:
    """Remembers why the last call failed. One assignment at a time, so threads may share it."""

    def __init__(self, retry_after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._retry_after = retry_after
        self._clock = clock
        self._failure: tuple[str, float] | None = None

    @property
    def reason(self) -> str | None:
        """Why not to call just now; None: call."""
        failure = self._failure
        return failure[0] if failure and self._clock() < failure[1] else None

    def failed(self, reason: str) -> None:
        if self._failure is None:
            _LOG.warning("predicting without the cache: %s", reason)
        self._failure = (reason, self._clock() + self._retry_after)

    def worked(self) -> None:
        if self._failure is not None:
            _LOG.warning("the cache is back")
        self._failure = None
