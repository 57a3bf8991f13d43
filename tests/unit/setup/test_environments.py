from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.setup import environments
from tests.setup.environments import UNUSED_DAYS, environment, link
from tests.setup.packages import SetupError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environments, "KEPT", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("# nothing, so that no registry is asked\n")
    return file


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter's own part, some ten seconds, is left to two tests."""

    def make(path: Path, *_args: object) -> None:
        path.with_name(f"{path.name}.d").mkdir()
        path.symlink_to(f"{path.name}.d")

    monkeypatch.setattr(environments, "_make", make)


def test_one_that_was_cut_off_is_made_anew(nothing: Path) -> None:
    path = environments.KEPT / f"tool-{environments._digest(sys.executable, [nothing], [])}"
    broken = path.with_name(f"{path.name}.d") / "bin/python"
    broken.parent.mkdir(parents=True)
    broken.write_text("half of it")
    assert environment("tool", sys.executable, [nothing]) == path
    prefix = subprocess.run(
        [path / "bin/python", "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert Path(prefix.stdout.strip()).resolve() == path.resolve()


def test_what_cannot_be_installed_leaves_none(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"{tmp_path}/no-such-package.whl\n")
    with pytest.raises(SetupError, match="no-such-package"):
        environment("tool", sys.executable, [file])
    assert [path.name for path in cache.glob("tool-*") if path.is_symlink()] == []


@pytest.mark.usefixtures("quickly")
def test_the_same_again_installs_nothing(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = environment("tool", sys.executable, [nothing])
    capsys.readouterr()
    assert environment("tool", sys.executable, [nothing]) == first
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("quickly")
def test_other_requirements_are_another_environment(nothing: Path) -> None:
    first = environment("tool", sys.executable, [nothing])
    nothing.write_text("# other\n")
    assert environment("tool", sys.executable, [nothing]) != first
    assert first.exists()


@pytest.mark.usefixtures("quickly")
def test_long_unused_ones_go_and_others_stay(nothing: Path) -> None:
    old = environment("tool", sys.executable, [nothing])
    another = environment("other", sys.executable, [nothing])
    for path in (old, another):
        os.utime(path, (0, time.time() - (UNUSED_DAYS + 1) * 86400))
    nothing.write_text("# newer\n")
    environment("tool", sys.executable, [nothing])
    assert not old.is_symlink()
    assert not old.with_name(f"{old.name}.d").exists()
    assert another.exists()


def test_a_link_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    at, first, second = tmp_path / "build/venv", tmp_path / "first", tmp_path / "second"
    (at / "bin").mkdir(parents=True)
    for path in (first, second, second):
        link(at, path)
        assert at.readlink() == path
