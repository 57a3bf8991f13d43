# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Files that somebody names by path or URL and by their sum: found on this host, in the cache, or fetched into it. I/O only."""

from __future__ import annotations

import os
import re
import urllib.error
from dataclasses import dataclass

from ansible.module_utils.urls import open_url

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import Cache
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import hash_file, save_stream
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("NamedFile", "Unreachable", "find_file")

_KIND = "files"
_SUM = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Unreachable(AirgapError):
    """Nothing answers under the URL, or not with the file. Whoever can do without the file goes on."""


@dataclass(frozen=True)
class NamedFile:
    """What a file is called, where it is, and what it must be."""

    name: str
    source: str
    sha256: str

    def check(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise AirgapError(f"files: {self.name!r} is no plain file name")
        if not _SUM.fullmatch(self.sha256):
            raise AirgapError(
                f"files: sha256 of {self.name} is {self.sha256!r}, expected 64 hexadecimal digits: sha256sum FILE prints them"
            )


def find_file(wanted: NamedFile, cache: Cache, *, fetch: bool, timeout: int) -> str | None:
    """Where the file lies on this host. Without leave to fetch: None where that would be needed."""
    wanted.check()
    if not re.match(r"https?://", wanted.source):
        return _local(wanted)
    folder = cache.path(_KIND, wanted.sha256)
    path = os.path.join(folder, wanted.name)
    if os.path.isfile(path) and hash_file(path) == wanted.sha256:
        return path
    if not fetch:
        return None
    # What else lies there is another name of the file, or damaged.
    cache.discard(_KIND, wanted.sha256)
    with cache.workspace(_KIND) as work:
        made = os.path.join(work, "file")
        os.mkdir(made)
        _same(wanted, _download(wanted.source, os.path.join(made, wanted.name), timeout))
        cache.publish(made, _KIND, wanted.sha256)
    return path


def _local(wanted: NamedFile) -> str:
    path = os.path.expanduser(wanted.source)
    if not os.path.isfile(path):
        raise AirgapError(
            f"{path}, named for {wanted.name}, does not exist or is no file: name its path or its http(s) URL"
        )
    _same(wanted, hash_file(path))
    return path


def _same(wanted: NamedFile, found: str) -> None:
    if found != wanted.sha256:
        raise AirgapError(
            f"{wanted.source} has the sha256 {found}, expected {wanted.sha256}: nothing of it is used. "
            "Name the sum of the file that you trust, or mend the source"
        )


def _download(url: str, target: str, timeout: int) -> str:
    try:
        with open_url(url, timeout=timeout, http_agent="airgap.mlops") as response:
            return save_stream(response, target)
    except urllib.error.HTTPError as exc:
        raise Unreachable(f"{url} answers {exc.code} {exc.reason}") from exc
    except (OSError, ValueError) as exc:
        raise Unreachable(f"{url} cannot be downloaded: {exc}") from exc
