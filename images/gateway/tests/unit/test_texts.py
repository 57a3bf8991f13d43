"""Text columns are looked through beside the requests, within bounds, and hold up nothing else."""

from __future__ import annotations

import asyncio
import threading
import time
import typing as t
from collections.abc import Awaitable, Callable, Iterable

import pytest

from gateway.problems import BodyTooLarge, Busy
from gateway.texts import THREADS, TextWorkers

Row = dict[str, t.Any]


def run(test: Callable[[TextWorkers], Awaitable[None]], *, characters: int = 100, seconds: float = 5) -> None:
    async def inside() -> None:
        workers = TextWorkers(characters, seconds)
        try:
            await test(workers)
        finally:
            workers.close()

    asyncio.run(inside())


def slow(rows: Iterable[Row]) -> list[Row]:
    done = []
    for row in rows:
        time.sleep(0.05)
        done.append(row)
    return done


def test_rows_are_worked_on_in_a_thread_of_its_own() -> None:
    async def test(workers: TextWorkers) -> None:
        name = await workers.run(lambda _rows: threading.current_thread().name, [{}], ["note"])
        assert name.startswith("texts")
        assert await workers.run(list, [{"note": "a"}, {"note": None}], ["note"]) == [{"note": "a"}, {"note": None}]

    run(test)


@pytest.mark.parametrize(
    ("rows", "fits"),
    [
        ([{"note": "x" * 100, "other": "x" * 1000}], True),
        ([{"note": "x" * 101}], False),
        ([{"note": "x" * 50}, {"note": "x" * 51}], False),
        ([{"note": "x" * 50, "more": "x" * 51}], False),
        ([{"note": 10**200, "more": None}, {}], True),
    ],
    ids=["other columns do not count", "one", "two rows", "two columns", "no text"],
)
def test_a_request_may_bring_so_many_characters(rows: list[Row], fits: bool) -> None:
    async def test(workers: TextWorkers) -> None:
        if fits:
            await workers.run(list, rows, ["note", "more"])
        else:
            with pytest.raises(BodyTooLarge, match="100 characters"):
                await workers.run(list, rows, ["note", "more"])

    run(test)


def test_who_waits_too_long_is_told_and_the_thread_is_free_again() -> None:
    async def test(workers: TextWorkers) -> None:
        requests = [workers.run(slow, [{}] * 1000, ["note"]) for _ in range(THREADS + 2)]
        results = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(result) for result in results] == [Busy] * len(requests)
        started = time.monotonic()
        assert await workers.run(list, [{}], ["note"]) == [{}]
        assert time.monotonic() - started < 5, "each left after the row that it was at, or never began"

    run(test, seconds=0.3)


def test_others_threads_are_not_waited_for() -> None:
    async def test(workers: TextWorkers) -> None:
        busy = [asyncio.create_task(workers.run(slow, [{}] * 10, ["note"])) for _ in range(50)]
        await asyncio.sleep(0)
        started = time.monotonic()
        await asyncio.to_thread(lambda: None)  # as the log of decisions is read for /readyz
        assert time.monotonic() - started < 5
        for task in busy:
            task.cancel()

    run(test)
