from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tabular_handler.copies import KEPT, Copy, hold_copy
from tabular_handler.errors import RegistryError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"tabular-models-{os.getuid()}"


def name(number: int) -> str:
    return f"{number:032x}"


def fetch(folder: Path) -> Path:
    whole = folder / "model"
    whole.mkdir()
    (whole / "MLmodel").write_text("whole")
    return whole


def load(number: int) -> Copy:
    copy = hold_copy(name(number), fetch)
    assert (copy.folder / "MLmodel").read_text() == "whole"
    return copy


def there(home: Path) -> set[int]:
    return {int(path.name, 16) for path in home.iterdir()}


def test_the_last_used_stay(home: Path) -> None:
    for number in range(KEPT):
        load(number).release()
    load(0).release()
    load(100).release()
    load(101).release()
    assert there(home) == {0, 100, 101, *range(3, KEPT)}
    assert home.stat().st_mode & 0o777 == 0o700


def test_what_is_held_stays(home: Path) -> None:
    held = load(0)
    for number in range(1, KEPT + 4):
        load(number).release()
    assert (held.folder / "MLmodel").exists()
    assert len(there(home)) == KEPT + 1
    held.release()
    load(200).release()
    assert 0 not in there(home)
    assert len(there(home)) == KEPT


def test_it_is_fetched_once(home: Path) -> None:
    load(1).release()
    hold_copy(name(1), lambda _folder: pytest.fail("it is there")).release()


def test_another_process_may_be_first(home: Path) -> None:
    def slow(folder: Path) -> Path:
        load(1).release()
        return fetch(folder)

    hold_copy(name(1), slow).release()
    assert there(home) == {1}


def test_a_fetch_that_fails_leaves_nothing(home: Path) -> None:
    with pytest.raises(RegistryError):
        hold_copy(name(1), fail)
    assert there(home) == set()


def fail(folder: Path) -> Path:
    fetch(folder)
    raise RegistryError("away")


def test_what_a_killed_process_left_goes_and_a_fetch_that_runs_stays(home: Path) -> None:
    load(1).release()
    (home / "tmpkilled").mkdir()
    (home / "gone-0").mkdir()

    def slow(folder: Path) -> Path:
        load(2).release()
        assert folder.exists()
        return fetch(folder)

    hold_copy(name(3), slow).release()
    assert there(home) == {1, 2, 3}


PROCESS = """
import random, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tabular_handler.copies import hold_copy

def fetch(folder):
    (folder / "model").mkdir()
    (folder / "model" / "MLmodel").write_text("whole")
    return folder / "model"

tempfile.tempdir = sys.argv[2]
held = []
for number in random.Random(sys.argv[3]).choices(range(30), k=60):
    held.append(hold_copy(f"{number:032x}", fetch))
    if len(held) > 3:
        held.pop(0).release()
    assert all((copy.folder / "MLmodel").read_text() == "whole" for copy in held)
"""


def test_processes_take_nothing_from_each_other(home: Path) -> None:
    code = Path(__file__).parents[2]
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(code), str(home.parent), str(seed)]) for seed in range(3)
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    load(99).release()
    assert len(there(home)) <= KEPT
