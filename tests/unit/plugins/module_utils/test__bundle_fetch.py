# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import pathlib
import re
import threading
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import Cache
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_fetch import NamedFile, Unreachable, find_file
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

CONTENT = b"pages"
SUM = hashlib.sha256(CONTENT).hexdigest()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002  # the base class calls it so
        pass


@pytest.fixture
def site(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "dist.zip").write_bytes(CONTENT)
    return folder


@contextlib.contextmanager
def serve(folder: pathlib.Path) -> t.Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> Cache:
    return Cache(str(tmp_path / "cache"))


def find(cache: Cache, source: str, sha256: str = SUM, *, fetch: bool = True) -> str | None:
    return find_file(NamedFile("studio.zip", source, sha256), cache, fetch=fetch, timeout=5)


def test_a_path_is_used_where_it_is(cache: Cache, site: pathlib.Path) -> None:
    assert find(cache, str(site / "dist.zip"), fetch=False) == str(site / "dist.zip")


def test_a_url_is_fetched_once(cache: Cache, site: pathlib.Path) -> None:
    with serve(site) as url:
        assert find(cache, f"{url}/dist.zip", fetch=False) is None
        path = find(cache, f"{url}/dist.zip")
    assert path is not None
    assert pathlib.Path(path).read_bytes() == CONTENT
    # The server is gone, the file is not.
    assert find(cache, f"{url}/dist.zip", fetch=False) == path


def test_what_rotted_in_the_cache_is_fetched_again(cache: Cache, site: pathlib.Path) -> None:
    with serve(site) as url:
        path = find(cache, f"{url}/dist.zip")
        assert path is not None
        pathlib.Path(path).write_bytes(b"other")
        assert find(cache, f"{url}/dist.zip") == path
    assert pathlib.Path(path).read_bytes() == CONTENT


def test_a_file_with_another_sum_is_refused(cache: Cache, site: pathlib.Path) -> None:
    with serve(site) as url:
        for source in (str(site / "dist.zip"), f"{url}/dist.zip"):
            with pytest.raises(AirgapError, match=re.escape(f"{source} has the sha256 {SUM}, expected {'0' * 64}")):
                find(cache, source, "0" * 64)
    assert not (pathlib.Path(cache.root) / "files" / ("0" * 64)).exists()


def test_what_cannot_be_reached_is_told_apart_from_what_is_wrong(cache: Cache, site: pathlib.Path) -> None:
    with serve(site) as url, pytest.raises(Unreachable, match="answers 404"):
        find(cache, f"{url}/nothing.zip")
    with pytest.raises(Unreachable, match="cannot be downloaded"):
        find(cache, f"{url}/dist.zip")


@pytest.mark.parametrize(
    ("name", "source", "sha256", "message"),
    [
        pytest.param("../x", "/x", SUM, "files: '../x' is no plain file name", id="name with a path"),
        pytest.param("x", "/x", "abc", "expected 64 hexadecimal digits", id="short sum"),
        pytest.param("x", "/nowhere/x", SUM, "/nowhere/x, named for x, does not exist", id="no such path"),
    ],
)
def test_a_wrong_name_place_or_sum_is_named(cache: Cache, name: str, source: str, sha256: str, message: str) -> None:
    with pytest.raises(AirgapError, match=re.escape(message)) as caught:
        find_file(NamedFile(name, source, sha256), cache, fetch=True, timeout=5)
    assert not isinstance(caught.value, Unreachable)
