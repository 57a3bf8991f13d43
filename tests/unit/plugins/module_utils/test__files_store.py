from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._files import ABSENT, Step, Wanted, staged_path
from ansible_collections.airgap.mlops.plugins.module_utils._files_store import apply_step, find_superseded, read_state

CONTENT = b"a program"
SUM = hashlib.sha256(CONTENT).hexdigest()


def test_states(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "l").symlink_to("f")
    os.mkfifo(tmp_path / "p")
    assert read_state(str(tmp_path / "f"), with_text=True).text == "x"
    assert read_state(str(tmp_path / "l")).target == "f"
    assert read_state(str(tmp_path)).kind == "directory"
    assert read_state(str(tmp_path / "p")).kind == "other"
    assert read_state(str(tmp_path / "f/g")) == ABSENT


def test_text_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("old")
    apply_step(Step("write", str(path), Wanted("file", str(path), 0o600, content="new")))
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.yaml"]


def test_bytes_are_checked_renamed_and_given_whole_seconds(tmp_path: Path) -> None:
    wanted = Wanted("file", str(tmp_path / "images/k3s.tar"), 0o755, sha256=SUM, staging=str(tmp_path))
    (tmp_path / "images").mkdir()
    Path(staged_path(wanted)).write_bytes(CONTENT)
    (tmp_path / ".k3s.tar.000000000000.part.sending").write_text("left by a run that was cut off")
    apply_step(Step("install", wanted.path, wanted))
    info = (tmp_path / "images/k3s.tar").stat()
    assert info.st_mtime_ns % 1_000_000_000 == 0
    assert info.st_mode & 0o777 == 0o755
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["images"]


def test_damaged_bytes_never_take_the_place_of_the_file(tmp_path: Path) -> None:
    wanted = Wanted("file", str(tmp_path / "k3s"), 0o755, sha256=SUM)
    Path(wanted.path).write_text("the old one")
    Path(staged_path(wanted)).write_bytes(CONTENT[:-1])
    with pytest.raises(AirgapError, match="arrived damaged"):
        apply_step(Step("install", wanted.path, wanted))
    assert Path(wanted.path).read_text() == "the old one"
    assert not Path(staged_path(wanted)).exists()


def test_links_directories_and_removal(tmp_path: Path) -> None:
    apply_step(Step("mkdir", str(tmp_path / "a/b"), Wanted("directory", str(tmp_path / "a/b"), 0o711)))
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o711
    apply_step(Step("link", str(tmp_path / "l"), Wanted("link", str(tmp_path / "l"), target="a")))
    assert (tmp_path / "l").readlink() == Path("a")
    apply_step(Step("remove", str(tmp_path / "l")))
    assert not (tmp_path / "l").is_symlink()


def test_only_marked_files_are_superseded(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("# Managed by us\n")
    (tmp_path / "theirs.yaml").write_text("a: 1\n# Managed by us\n")
    (tmp_path / "d").mkdir()
    assert find_superseded(f"{tmp_path}/*", "Managed by us") == [str(tmp_path / "ours.yaml")]
    assert len(find_superseded(f"{tmp_path}/*", None)) == 2
