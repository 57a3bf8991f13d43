"""When MindsDB is asked for the active version, and what goes on when it cannot be."""

from __future__ import annotations

import asyncio
import typing as t
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.decisions import DecisionLog
from gateway.metrics import Metrics
from gateway.mindsdb import Column, MindsDB, ModelVersion
from gateway.problems import GatewayError, MindsDBDown, NotFound
from gateway.versions import Versions


class Fake:
    """MindsDB as this needs it: a version, or an error."""

    def __init__(self) -> None:
        self.version = "1"
        self.error: GatewayError | None = None
        self.asked = self.described = 0
        self.patient: list[bool] = []

    async def active(self, model: str, *, patient: bool) -> tuple[str, str]:
        self.asked += 1
        self.patient.append(patient)
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        return self.version, f"id-{self.version}"

    async def describe(self, model: str, version: str, identity: str, *, patient: bool) -> ModelVersion:
        self.described += 1
        self.patient.append(patient)
        return ModelVersion(version, identity, model, version, f"run-{version}", (Column("age", "numeric"),))


class Bench(t.NamedTuple):
    versions: Versions
    mindsdb: Fake
    clock: list[float]

    async def now(self) -> str:
        return (await self.versions.current("income")).mindsdb

    async def refreshed(self) -> None:
        """Whatever was asked beside the requests has been answered."""
        await asyncio.gather(*self.versions._asking.values(), return_exceptions=True)


def run(folder: Path, test: Callable[[Bench], Awaitable[None]]) -> None:
    async def inside() -> None:
        metrics, clock, mindsdb = Metrics(), [100.0], Fake()
        log = DecisionLog(folder, metrics, reserve_bytes=0)
        log.open()
        versions = Versions(t.cast(MindsDB, mindsdb), log, metrics, 10, lambda: clock[0])
        try:
            await test(Bench(versions, mindsdb, clock))
        finally:
            await versions.close()
            await asyncio.to_thread(log.close)

    asyncio.run(inside())


def test_many_ask_at_once_and_mindsdb_is_asked_once(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        assert await asyncio.gather(*(bench.now() for _ in range(20))) == ["1"] * 20
        assert (bench.mindsdb.asked, bench.mindsdb.described) == (1, 1)

    run(tmp_path, test)


def test_a_young_answer_is_kept_an_older_one_renewed_beside_an_old_one_waited_for(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        assert await bench.now() == "1"
        bench.mindsdb.version = "2"
        bench.clock[0] += 4
        assert await bench.now() == "1"
        assert bench.mindsdb.asked == 1
        bench.clock[0] += 2  # past half of its time
        assert await bench.now() == "1"
        await bench.refreshed()
        assert await bench.now() == "2"
        bench.mindsdb.version = "3"
        bench.clock[0] += 11  # past its time: nobody gets the old one
        assert await bench.now() == "3"

    run(tmp_path, test)


def test_the_version_known_last_goes_on_while_mindsdb_is_down(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        assert await bench.now() == "1"
        bench.mindsdb.error = MindsDBDown("down")
        bench.clock[0] += 11
        assert await bench.now() == "1"
        asked = bench.mindsdb.asked
        assert await bench.now() == "1"
        assert bench.mindsdb.asked == asked  # nobody waits for the same failure at once
        bench.mindsdb.error, bench.mindsdb.version = None, "2"
        bench.clock[0] += 11
        await bench.now()
        await bench.refreshed()
        assert await bench.now() == "2"

    run(tmp_path, test)


def test_it_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async def first(bench: Bench) -> None:
        assert await bench.now() == "1"

    async def second(bench: Bench) -> None:
        bench.mindsdb.error = MindsDBDown("down")
        found = await bench.versions.current("income")
        assert found == ModelVersion("1", "id-1", "income", "1", "run-1", (Column("age", "numeric"),))

    run(tmp_path, first)
    run(tmp_path, second)


def test_what_was_never_known_is_an_error(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        bench.mindsdb.error = MindsDBDown("down")
        with pytest.raises(MindsDBDown):
            await bench.now()
        bench.mindsdb.error = None
        assert await bench.now() == "1"

    run(tmp_path, test)


def test_a_model_that_is_gone_is_gone(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        assert await bench.now() == "1"
        bench.mindsdb.error = NotFound("gone")
        bench.clock[0] += 11
        with pytest.raises(NotFound):
            await bench.now()

    run(tmp_path, test)


def test_it_is_patient_only_while_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    async def first(bench: Bench) -> None:
        await bench.now()
        assert bench.mindsdb.patient == [True, True]
        bench.mindsdb.version = "2"
        bench.clock[0] += 6
        await bench.now()
        await bench.refreshed()
        assert bench.mindsdb.patient == [True, True, False, False]

    async def after_a_restart(bench: Bench) -> None:
        await bench.now()
        assert bench.mindsdb.patient == [False, False]

    run(tmp_path, first)
    run(tmp_path, after_a_restart)
