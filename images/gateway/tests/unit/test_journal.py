"""The write-ahead file: what `append` called durable comes back after any crash, whole and once; nothing else does."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import typing as t
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal import BLOCK, BLOCKS, MAX_RECORD, Journal

if t.TYPE_CHECKING:
    from gateway.writer import Append

VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"]), max_size=2000)
APPENDS = st.dictionaries(st.sampled_from(["decisions", "attributes"]), st.lists(st.tuples(VALUES, VALUES), min_size=1))


def make(folder: Path, *, sync: bool = True) -> Journal:
    journal = Journal(folder / "j", sync=sync)
    journal.open()
    return journal


def row(text: str) -> Append:
    return {"decisions": [(text, 1, None)]}


def pending(journal: Journal) -> list[Append]:
    """What a start would find, as a fold gives it away; without the fold's effect."""

    class NotNow(Exception):  # noqa: N818
        pass

    found: list[Append] = []

    def keep(appends: Sequence[Append]) -> None:
        found.extend(appends)
        raise NotNow

    with contextlib.suppress(NotNow):
        journal.fold(keep)
    return found


def crashed(journal: Journal) -> Journal:
    """Another process' look at the same file; the first was not closed."""
    again = Journal(journal.path, sync=journal.sync)
    again.open()
    return again


@settings(max_examples=50, deadline=None)
@given(appends=st.lists(APPENDS, max_size=10))
def test_what_was_appended_comes_back(tmp_path_factory: pytest.TempPathFactory, appends: list[Append]) -> None:
    journal = make(tmp_path_factory.mktemp("journal"), sync=False)
    kept = [rows for rows in appends if journal.append(rows)]
    assert len(kept) == len(appends)
    assert pending(crashed(journal)) == kept == pending(journal)


@settings(max_examples=50, deadline=None)
@given(cut=st.integers(0, 4 * BLOCK - 1), garbage=st.binary(min_size=1, max_size=64))
def test_a_damaged_record_ends_what_comes_back(
    tmp_path_factory: pytest.TempPathFactory, cut: int, garbage: bytes
) -> None:
    """A torn write leaves any bytes in the last record; those before it were durable."""
    journal = make(tmp_path_factory.mktemp("journal"), sync=False)
    kept = [row("x" * (BLOCK - 200) + str(number)) for number in range(4)]
    assert all(journal.append(rows) for rows in kept)
    before = journal.path.read_bytes()
    with journal.path.open("r+b") as file:
        file.seek(cut)
        file.write(garbage)
    changed = [place for place in range(cut, cut + len(garbage)) if before[place] != journal.path.read_bytes()[place]]
    whole = kept if not changed else kept[: changed[0] // BLOCK]
    found = pending(crashed(journal))
    assert found[: len(whole)] == whole
    assert all(rows in kept for rows in found)


def test_a_fold_empties_it_and_leaves_no_byte(tmp_path: Path) -> None:
    journal = make(tmp_path)
    assert journal.append(row("a sensitive value"))
    assert b"a sensitive value" in journal.path.read_bytes()
    given_away: list[Append] = []
    journal.fold(given_away.extend)
    assert given_away == [row("a sensitive value")]
    assert journal.pending == 0
    assert journal.path.read_bytes() == bytes(BLOCK * BLOCKS)
    assert journal.append(row("next"))
    assert b"sensitive" not in journal.path.read_bytes(), "nor with the next record, from the buffer"
    assert pending(crashed(journal)) == [row("next")]


def test_what_comes_during_a_fold_stays(tmp_path: Path) -> None:
    journal = make(tmp_path)
    journal.append(row("first"))
    journal.fold(lambda _appends: journal.append(row("second")))
    assert pending(journal) == [row("second")]
    assert pending(crashed(journal)) == [row("first"), row("second")], "the first may be seen again"
    journal.fold(lambda _appends: None)
    assert pending(crashed(journal)) == []


def test_a_fold_that_fails_keeps_all(tmp_path: Path) -> None:
    journal = make(tmp_path)
    journal.append(row("first"))
    assert pending(journal) == pending(journal) == pending(crashed(journal)) == [row("first")]


def test_records_of_a_generation_before_do_not_come_back(tmp_path: Path) -> None:
    journal = make(tmp_path)
    for number in range(3):
        journal.append(row(str(number)))
    old = journal.path.read_bytes()
    journal.fold(lambda _appends: None)
    journal.append(row("new"))
    with journal.path.open("r+b") as file:  # as if only the first block had been overwritten
        file.seek(BLOCK)
        file.write(old[BLOCK:])
    assert pending(crashed(journal)) == [row("new")]


def test_it_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    journal = make(tmp_path)
    journal.append(row("before"))
    again = crashed(journal)
    assert again.append(row("after"))
    assert pending(crashed(again)) == [row("before"), row("after")]


def test_it_takes_no_more_than_fits(tmp_path: Path) -> None:
    journal = make(tmp_path, sync=False)
    assert not journal.append(row("x" * MAX_RECORD))
    count = 0
    while journal.append(row("x")):
        count += 1
    assert count == BLOCKS
    assert len(pending(crashed(journal))) == BLOCKS
    assert journal.path.stat().st_size == BLOCK * BLOCKS


def test_who_appends_does_not_wait_for_a_fold(tmp_path: Path) -> None:
    journal = make(tmp_path)
    with journal._lock:
        assert not journal.append(row("x"))
    assert pending(crashed(journal)) == []


@pytest.mark.parametrize("sync", [True, False])
def test_a_write_waits_for_the_disk_where_it_is_asked_to(tmp_path: Path, *, sync: bool) -> None:
    journal = make(tmp_path, sync=sync)
    assert journal._file is not None
    assert bool(fcntl.fcntl(journal._file, fcntl.F_GETFL) & os.O_DSYNC) == sync
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_a_file_system_without_direct_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refusing(path: t.Any, flags: int, *args: t.Any) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(path, flags, *args)

    monkeypatch.setattr(os, "open", refusing)
    journal = make(tmp_path)
    assert journal.append(row("x"))
    assert pending(crashed(journal)) == [row("x")]


def test_its_name_is_as_durable_as_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def fsync(file: int) -> None:
        synced.append(f"{Path(f'/proc/self/fd/{file}').readlink()}, with {[path.name for path in tmp_path.iterdir()]}")

    monkeypatch.setattr(os, "fsync", fsync)
    make(tmp_path)
    assert synced == [f"{tmp_path}/j.new, with ['j.new']", f"{tmp_path}, with ['j']"]


def test_a_file_of_another_size_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"x" * 100)
    journal = make(tmp_path)
    assert journal.path.stat().st_size == BLOCK * BLOCKS
    assert journal.append(row("x"))
    assert pending(crashed(journal)) == [row("x")]


def test_without_room_for_it_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: t.Any) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    journal = make(tmp_path)
    assert not journal.append(row("x"))
    assert list(tmp_path.iterdir()) == []
    assert "goes on without its journal (No space left on device)" in caplog.text


def test_a_write_that_fails_ends_it_and_what_was_there_is_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: t.Any
) -> None:
    journal = make(tmp_path)
    assert journal.append(row("before"))

    def broken(*_args: t.Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pwritev", broken)
    assert not journal.append(row("x"))
    assert not journal.append(row("y"))
    assert caplog.text.count("Input/output error") == 1
    given_away: list[Append] = []
    journal.fold(given_away.extend)
    assert (given_away, journal.pending) == ([row("before")], 0)
