# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import io
import os
import pathlib

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils import _bundle_files as files
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_digests_at_the_edges_of_the_buffer(tmp_path: pathlib.Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    assert files.hash_file(str(tmp_path / "f")) == sha(data)
    assert files.hash_files(str(tmp_path), {"f": size}) == {"f": sha(data)}
    assert files.save_stream(io.BytesIO(data), str(tmp_path / "g")) == sha(data)
    assert (tmp_path / "g").read_bytes() == data


def test_links_are_seen_and_not_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(b"12")
    os.symlink("/", tmp_path / "root")
    os.symlink("nowhere", tmp_path / "dangling")
    assert files.walk_files(str(tmp_path)) == {"a/b": 2, "root": 1, "dangling": 7}


def test_a_copy_is_whole_or_not_there(tmp_path: pathlib.Path) -> None:
    source, target = tmp_path / "s", tmp_path / "new/t"
    source.write_bytes(b"content")
    with pytest.raises(AirgapError, match="has other content than when it was stored"):
        files.copy_checked(str(source), str(target), sha(b"other"), 0o644)
    assert os.listdir(tmp_path / "new") == []
    files.copy_checked(str(source), str(target), sha(b"content"), 0o755)
    assert target.read_bytes() == b"content"
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_failed_copy_leaves_the_old_file(tmp_path: pathlib.Path) -> None:
    source, target = tmp_path / "s", tmp_path / "t"
    source.write_bytes(b"damaged")
    files.write_atomic(str(target), b"old")
    with pytest.raises(AirgapError):
        files.copy_checked(str(source), str(target), sha(b"new"), 0o644)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["s", "t"]
