"""Looking for names in text, beside the requests: it takes the processor for up to a second each three thousand characters.

It has threads of its own, so that nothing else waits for them: the log of decisions is read in others.
"""

from __future__ import annotations

import asyncio
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from gateway.problems import BodyTooLarge, Busy

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

__all__ = ("TextWorkers",)

THREADS = 2
RETRY_AFTER = 5
Row = dict[str, t.Any]
T = t.TypeVar("T")


class TextWorkers:
    def __init__(self, characters: int, seconds: float) -> None:
        self._characters = characters
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(THREADS, "texts")

    async def run(self, work: Callable[[Iterable[Row]], T], rows: Sequence[Row], columns: Collection[str]) -> T:
        """`work(rows)`, in its turn. Refuses what is more than a request may bring, or takes longer than it may."""
        self._check(rows, columns)
        given = _until(time.monotonic() + self._seconds, rows)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work, given)
        except TimeoutError:
            text = f"The text columns were not looked through within {self._seconds:g} seconds: try again, with fewer rows."
            raise Busy(text, retry_after=RETRY_AFTER) from None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, rows: Sequence[Row], columns: Collection[str]) -> None:
        size = sum(len(value) for row in rows for name in columns if isinstance(value := row.get(name), str))
        if size > self._characters:
            raise BodyTooLarge(
                f"The text columns of a request may hold {self._characters} characters, these hold {size}: send fewer rows."
            )


def _until(end: float, rows: Iterable[Row]) -> Iterator[Row]:
    """A thread cannot be stopped from outside: it stops here, before its next row."""
    for row in rows:
        if time.monotonic() >= end:
            raise TimeoutError
        yield row
