# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import os
import pathlib
import threading
import time

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import Cache, default_cache, host_lock


def make(cache: Cache, work: str, text: str) -> str:
    made = os.path.join(work, "made")
    os.mkdir(made)
    pathlib.Path(made, "f").write_text(text)
    return cache.publish(made, "kind", "key")


def test_a_result_appears_under_its_key(tmp_path: pathlib.Path) -> None:
    cache = Cache(str(tmp_path))
    with cache.workspace("kind") as work:
        target = make(cache, work, "first")
    assert target == cache.path("kind", "key")
    assert pathlib.Path(target, "f").read_text() == "first"
    assert os.listdir(tmp_path / "kind") == ["key"]
    cache.discard("kind", "key")
    assert not os.path.exists(target)


def test_of_two_that_were_made_at_once_the_first_stays(tmp_path: pathlib.Path) -> None:
    cache = Cache(str(tmp_path))
    for text in ("first", "second"):
        with cache.workspace("kind") as work:
            make(cache, work, text)
    assert pathlib.Path(cache.path("kind", "key"), "f").read_text() == "first"
    assert os.listdir(tmp_path / "kind") == ["key"]


def test_a_failure_leaves_nothing(tmp_path: pathlib.Path) -> None:
    cache = Cache(str(tmp_path))
    with pytest.raises(FileNotFoundError), cache.workspace("kind") as work:
        cache.publish(os.path.join(work, "never made"), "kind", "key")
    assert os.listdir(tmp_path / "kind") == []


def test_makers_take_turns(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen = []

    def hold() -> None:
        with host_lock("kind"):
            seen.append("in")
            time.sleep(0.05)
            seen.append("out")

    makers = [threading.Thread(target=hold) for _number in range(3)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert seen == ["in", "out"] * 3


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache() == "/x/airgap-mlops"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert default_cache() == "/h/.cache/airgap-mlops"
