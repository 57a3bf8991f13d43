"""The decision log on a real file: what is answered is there, what cannot be written is refused."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.decisions import FILE, JOURNAL, Attributes, Decision, DecisionLog, Outcome
from gateway.metrics import Metrics
from gateway.problems import DecisionLogFull, DecisionLogUnavailable
from gateway.schema import VERSION, SchemaError
from gateway.uuid7 import uuid7

SECRET = "a sensitive value"


def decision(**changes: t.Any) -> Decision:
    first = Decision(uuid7(), time.time_ns() // 1000, "r", "shop", "income", "{}", '{"a":1}', '{"income":1}', 0, 5)
    return first._replace(**changes)


def make(folder: Path, **settings: t.Any) -> DecisionLog:
    log = DecisionLog(folder, Metrics(), **{"reserve_bytes": 0, **settings})
    log.open()
    return log


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    log = make(tmp_path)
    yield log
    log.close()


def look(folder: Path, query: str) -> list[tuple[t.Any, ...]]:
    """By another road: a connection of our own, read-only."""
    db = sqlite3.connect(f"file:{folder / FILE}?mode=ro", uri=True)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def test_what_was_appended_is_on_the_file(log: DecisionLog, tmp_path: Path) -> None:
    one = decision()
    asyncio.run(log.append([one]))
    assert look(tmp_path, "SELECT * FROM decisions") == [tuple(one)]
    assert asyncio.run(log.find(one.id)) == one
    assert asyncio.run(log.find(uuid7())) is None


def test_the_file_is_private_durable_and_forgets(log: DecisionLog, tmp_path: Path) -> None:
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    pragmas = ("journal_mode", "synchronous", "secure_delete", "user_version")
    found = [log._writer.db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert found == ["wal", 2, 1, VERSION]


def test_writes_that_wait_share_one_commit(log: DecisionLog, tmp_path: Path) -> None:
    async def many() -> None:
        await asyncio.gather(*(log.append([decision()]) for _ in range(300)))

    asyncio.run(many())
    assert look(tmp_path, "SELECT count(*) FROM decisions") == [(300,)]
    commits = log.metrics.registry.get_sample_value("gateway_decision_commit_seconds_count")
    assert commits is not None
    assert commits < 100


def test_one_bad_write_does_not_take_its_neighbours_with_it(log: DecisionLog, tmp_path: Path) -> None:
    twice = decision()

    async def together() -> list[object]:
        await log.append([twice])
        appends = [log.append([decision()]), log.append([twice]), log.append([decision()])]
        return await asyncio.gather(*appends, return_exceptions=True)

    results = asyncio.run(together())
    assert [type(result) for result in results] == [type(None), DecisionLogUnavailable, type(None)]
    assert look(tmp_path, "SELECT count(*) FROM decisions") == [(3,)]


def test_a_full_file_refuses_and_recovers(log: DecisionLog, tmp_path: Path) -> None:
    pages = log._writer.db.execute("PRAGMA page_count").fetchone()[0]
    log._writer.db.execute(f"PRAGMA max_page_count = {pages + 5}")

    async def fill() -> int:
        for count in range(1000):
            try:
                await log.append([decision(input="x" * 3000)])
            except DecisionLogFull:
                return count
        return -1

    written = asyncio.run(fill())
    assert 0 <= written < 20
    assert look(tmp_path, "SELECT count(*) FROM decisions") == [(written,)]
    log._writer.db.execute("PRAGMA max_page_count = 1000000")
    asyncio.run(log.append([decision()]))


def test_below_the_reserve_nothing_is_taken_but_the_rest_goes_on(tmp_path: Path) -> None:
    log = make(tmp_path)
    old = decision()
    asyncio.run(log.append([old]))
    log.reserve_bytes, log._look_at = 10**18, float("-inf")
    try:
        with pytest.raises(DecisionLogFull):
            asyncio.run(log.append([decision()]))
        with pytest.raises(DecisionLogFull):
            asyncio.run(log.check())
        # room is made of what MLflow has, however young it is
        assert asyncio.run(log.prune(1e9)) == 0
        asyncio.run(log.mark_shipped([old.id]))
        assert asyncio.run(log.prune(1e9)) == 1
    finally:
        log.close()


def test_retention_deletes_what_is_old_and_shipped_alone(log: DecisionLog, tmp_path: Path) -> None:
    shipped, waiting = decision(), decision()

    async def run() -> int:
        await log.append([shipped, waiting])
        await log.mark_shipped([shipped.id])
        assert await log.prune(3600) == 0
        await asyncio.sleep(0.01)
        return await log.prune(0)

    assert asyncio.run(run()) == 1
    assert look(tmp_path, "SELECT id FROM decisions") == [(waiting.id,)]


def test_the_queue_of_traces_is_in_order_and_ends(log: DecisionLog) -> None:
    many = [decision() for _ in range(5)]

    async def run() -> None:
        await log.append(many)
        assert [one.id for one in await log.unshipped(3)] == [one.id for one in many[:3]]
        await log.mark_shipped(one.id for one in many[:3])
        assert [one.id for one in await log.unshipped(3)] == [one.id for one in many[3:]]
        assert (await log.backlog())["unshipped"] == 2

    asyncio.run(run())


def test_the_queue_of_traces_is_cut_at_a_size_and_leaves_out_what_is_named(log: DecisionLog, tmp_path: Path) -> None:
    many = [decision(input="x" * 600, output="y" * 400) for _ in range(5)]

    async def found(*limits: t.Any) -> list[int]:
        return [many.index(one) for one in await log.unshipped(*limits)]

    async def run() -> None:
        await log.append(many)
        assert await found(9) == [0, 1, 2, 3, 4]
        assert await found(9, 1) == [0], "one at least"
        assert await found(9, 1000) == [0]
        assert await found(9, 1001) == [0, 1]
        assert await found(2, 10_000) == [0, 1]
        assert await found(9, 2000, [many[0].id, many[2].id]) == [1, 3]
        await log.clean_wal()
        assert (tmp_path / f"{FILE}-wal").stat().st_size == 0, "no reader is left in the middle"

    asyncio.run(run())


def test_delivered_attributes_leave_no_byte_behind(log: DecisionLog, tmp_path: Path) -> None:
    one = decision()

    async def run() -> None:
        await log.append([one], [Attributes(one.id, "income", 1, f'{{"sex":"{SECRET}"}}')])
        await log.mark_delivered([one.id], [])
        await log.clean_wal()

    asyncio.run(run())
    assert [file.name for file in tmp_path.iterdir() if SECRET.encode() in file.read_bytes()] == []
    assert asyncio.run(log.undelivered(10)) == ([], [])


def test_the_first_outcome_stays(log: DecisionLog) -> None:
    one = decision()

    async def run() -> list[str]:
        await log.append([one])
        kept = [await log.add_outcome(Outcome(one.id, 1, text)) for text in ("yes", "yes", "no")]
        assert [row.outcome for row in (await log.undelivered(10))[1]] == ["yes"]
        await log.mark_delivered([], [one.id])
        assert (await log.undelivered(10))[1] == []
        return [*kept, await log.add_outcome(Outcome(one.id, 1, "no"))]

    assert asyncio.run(run()) == ["yes"] * 4


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    log = make(tmp_path)

    async def leave() -> None:
        tasks = [asyncio.create_task(log.append([decision()])) for _ in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(log.close)
        await asyncio.gather(*tasks)

    asyncio.run(leave())
    assert not (tmp_path / f"{FILE}-wal").exists()
    assert look(tmp_path, "SELECT count(*) FROM decisions") == [(50,)]


def test_after_closing_a_write_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.close()
    with pytest.raises(DecisionLogUnavailable):
        asyncio.run(asyncio.wait_for(log.append([decision()]), 5))


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    make(tmp_path).close()
    db = sqlite3.connect(tmp_path / FILE)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    with pytest.raises(SchemaError, match="newer"):
        make(tmp_path)


def test_a_version_is_remembered(tmp_path: Path) -> None:
    log = make(tmp_path)
    asyncio.run(log.remember_version("income", "one"))
    asyncio.run(log.remember_version("income", "two"))
    log.close()
    again = make(tmp_path)
    assert asyncio.run(again.remembered_version("income")) == "two"
    assert asyncio.run(again.remembered_version("other")) is None
    again.close()


def test_alone_it_waits_for_no_transaction_and_who_reads_sees_it(log: DecisionLog, tmp_path: Path) -> None:
    one = decision()
    kept = Attributes(one.id, "income", 1, "sealed")

    async def run() -> None:
        slow = asyncio.create_task(log._writer.write(lambda _db: time.sleep(0.3)))
        await asyncio.sleep(0.1)
        await log.append([one], [kept], alone=True)
        assert not slow.done()
        assert look(tmp_path, "SELECT count(*) FROM decisions") == [(0,)]
        assert await log.find(one.id) == one
        assert await log.undelivered(10) == ([kept], [])

    asyncio.run(run())
    assert look(tmp_path, "SELECT * FROM decisions") == [tuple(one)]
    assert not (tmp_path / JOURNAL).read_bytes().strip(b"\0")


def test_a_crash_loses_nothing_of_the_journal_and_doubles_nothing(tmp_path: Path) -> None:
    log = make(tmp_path)
    many = [decision() for _ in range(3)]
    for one in many:
        asyncio.run(log.append([one], alone=True))
    journal = (tmp_path / JOURNAL).read_bytes()
    crashed = shutil.copytree(tmp_path, tmp_path / "crashed")
    log.close()
    assert look(tmp_path, "SELECT count(*) FROM decisions") == [(3,)], "closing folds it"
    (tmp_path / JOURNAL).write_bytes(journal)  # as if it had been cut off between the commit and this
    for folder in (crashed, tmp_path):
        again = make(folder)
        assert asyncio.run(again.unshipped(10)) == many
        again.close()


def test_the_journal_is_folded_when_it_is_full(log: DecisionLog, tmp_path: Path) -> None:
    async def run() -> None:
        for _ in range(600):
            await log.append([decision()], alone=True)
            await asyncio.sleep(0)

    asyncio.run(run())
    assert 0 < log._journal.pending < 256
    assert look(tmp_path, "SELECT count(*) FROM decisions") == [(600 - log._journal.pending,)]
    assert len(asyncio.run(log.unshipped(1000))) == 600


def test_what_finds_no_room_stays_in_the_journal(tmp_path: Path, caplog: t.Any) -> None:
    log = make(tmp_path)
    pages = log._writer.db.execute("PRAGMA page_count").fetchone()[0]
    log._writer.db.execute(f"PRAGMA max_page_count = {pages}")
    many = [decision(input="x" * 3000) for _ in range(256)]

    async def run() -> None:
        for one in many:
            await log.append([one], alone=True)
        with pytest.raises(DecisionLogFull):
            await log.append([decision(input="x" * 30000)], alone=True)
        while log._folding:
            await asyncio.sleep(0.01)
        with pytest.raises(DecisionLogFull):
            await log.find(many[0].id)
        assert await log.remembered_version("income") is None

    asyncio.run(run())
    assert "its decisions stay in it for now" in caplog.text
    log.close()
    assert "256 decisions stay in the journal for now" in caplog.text
    again = make(tmp_path)
    assert asyncio.run(again.unshipped(1000)) == many
    again.close()


def test_the_journal_waits_for_the_disk_as_sqlite_does(tmp_path: Path) -> None:
    for sync in ("full", "normal"):
        log = make(tmp_path, sync=sync)
        assert log._journal.sync == (sync == "full")
        log.close()


def test_many_rows_at_once_are_stored_as_they_are(log: DecisionLog) -> None:
    odd = ['{"note":"a\\u0000b"}', '{"note":"\U0001f600 \\"x\\""}', "{}", '{"n":12345678901234567}', '{"e":1e-300}']
    many = [decision(input=text, at_us=2**53 + 1, cached=number % 2) for number, text in enumerate(odd)]
    kept = [Attributes(one.id, "income", 1, one.input) for one in many]
    asyncio.run(log.append(many, kept))
    assert asyncio.run(log.unshipped(10)) == many
    assert asyncio.run(log.undelivered(10)) == (kept, [])


def test_making_room_gives_it_back_to_the_volume(tmp_path: Path) -> None:
    log = make(tmp_path)

    async def run() -> tuple[int, int]:
        many = [decision(input="x" * 5000) for _ in range(500)]
        await log.append(many)
        await log.mark_shipped(one.id for one in many)
        await log.clean_wal()
        before = (tmp_path / FILE).stat().st_size
        log.reserve_bytes, log._look_at = 10**18, float("-inf")
        assert await log.prune(1e9) == 500
        return before, (tmp_path / FILE).stat().st_size

    before, after = asyncio.run(run())
    log.close()
    assert before > 2_500_000
    assert after < 100_000


def test_the_volume_has_the_size_that_it_was_given(tmp_path: Path) -> None:
    """Whoever made it may not hold it to that: local-path does not."""
    log = make(tmp_path)

    def give(size: float) -> None:
        log.volume_bytes, log._look_at = int(size), float("-inf")

    async def run() -> None:
        many = [decision(input="x" * 5000) for _ in range(500)]
        await log.append(many)
        await log.clean_wal()
        size = (tmp_path / FILE).stat().st_size
        give(size)
        with pytest.raises(DecisionLogFull, match=str(size)):
            await log.append([decision()])
        with pytest.raises(DecisionLogFull):
            await log.check()
        await log.mark_shipped(one.id for one in many)
        give(size / 0.7)
        assert await log.prune(1e9) == 0
        give(size / 0.9)
        assert await log.prune(1e9, 100) == 100, "before it is full"
        give(size)
        await log.append([decision()])

    asyncio.run(run())
    log.close()


def test_attributes_wait_no_longer_than_retention_says(log: DecisionLog, tmp_path: Path) -> None:
    old, fresh = decision(), decision()
    now = time.time_ns() // 1000

    async def run() -> None:
        waiting = [Attributes(old.id, "income", now - 7_200_000_000, "{}"), Attributes(fresh.id, "income", now, "{}")]
        await log.append([old, fresh], waiting)
        await log.prune(3600)

    asyncio.run(run())
    assert look(tmp_path, "SELECT decision_id FROM attributes") == [(fresh.id,)]


def test_outcomes_are_kept_as_long_as_retention_says(log: DecisionLog, tmp_path: Path) -> None:
    async def run() -> None:
        for ident in (uuid7(), uuid7()):
            await log.add_outcome(Outcome(ident, 1, "yes"))
        [first, _] = (await log.undelivered(10))[1]
        await log.mark_delivered([], [first.decision_id])
        await log.prune(3600)
        assert look(tmp_path, "SELECT count(*) FROM outcomes") == [(2,)]
        await asyncio.sleep(0.01)
        await log.prune(0)

    asyncio.run(run())
    assert look(tmp_path, "SELECT count(*) FROM outcomes WHERE delivered_us IS NULL") == [(1,)]
    assert look(tmp_path, "SELECT count(*) FROM outcomes") == [(1,)]
