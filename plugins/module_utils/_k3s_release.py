# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""How a k3s release is laid out: names, addresses and published sums. Pure: no I/O."""

from __future__ import annotations

import re
import struct
import urllib.parse
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._versions import K3sVersion

__all__ = ("IMAGE_SUFFIXES", "Release", "ReleaseError", "binary_arch", "image_suffix", "parse_sums")

# What k3s imports from its images directory; anything else there is ignored without a word.
IMAGE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz", ".tar.lz4")
_BINARIES = {"amd64": "k3s", "arm64": "k3s-arm64"}
_SUM = re.compile(r"(?P<sum>[0-9a-f]{64}) [ *](?P<name>\S+)")
_ELF_MACHINES = {62: "amd64", 183: "arm64"}


class ReleaseError(AirgapError):
    """A release of k3s that cannot be used."""


@dataclass(frozen=True)
class Release:
    """One release for one architecture below a base address."""

    base: str
    version: str
    arch: str

    def __post_init__(self) -> None:
        if not self.version.startswith("v") or not K3sVersion.parse(self.version).build:
            raise ReleaseError(f"k3s version {self.version!r} names no release: write it whole, as in v1.35.7+k3s1")

    @property
    def binary(self) -> str:
        return _BINARIES[self.arch]

    @property
    def images(self) -> str:
        return f"k3s-airgap-images-{self.arch}.tar.zst"

    @property
    def sums(self) -> str:
        return f"sha256sum-{self.arch}.txt"

    def url(self, name: str) -> str:
        """Where a file of the release lies; the + of the version must be escaped."""
        return f"{self.base.rstrip('/')}/{urllib.parse.quote(self.version, safe='')}/{name}"


def parse_sums(text: str, where: str, wanted: tuple[str, ...]) -> dict[str, str]:
    """The sums of the wanted files, from a file as sha256sum writes it."""
    sums = {match["name"]: match["sum"] for match in map(_SUM.fullmatch, text.splitlines()) if match}
    missing = [name for name in wanted if name not in sums]
    if missing:
        raise ReleaseError(f"{where} has no sha256 of {', '.join(missing)}: it is not the sum file of a k3s release")
    return {name: sums[name] for name in wanted}


def image_suffix(path: str) -> str:
    """The suffix of an archive of core images, by which k3s knows how to read it."""
    # The longest first: .tar.gz before .gz.
    for suffix in sorted(IMAGE_SUFFIXES, key=len, reverse=True):
        if path.endswith(suffix):
            return suffix
    raise ReleaseError(
        f"{path} has none of the suffixes that k3s imports ({', '.join(IMAGE_SUFFIXES)}): name the archive as it is packed"
    )


def binary_arch(head: bytes, where: str) -> str:
    """The architecture of an executable, from its first 20 bytes."""
    if len(head) < 20 or head[:4] != b"\x7fELF" or head[5] != 1:
        raise ReleaseError(f"{where} is not an executable for Linux (no ELF header): it is not a k3s binary")
    machine = struct.unpack_from("<H", head, 18)[0]
    try:
        return _ELF_MACHINES[machine]
    except KeyError:
        raise ReleaseError(
            f"{where} is for a machine of ELF type {machine}, which is neither amd64 nor arm64"
        ) from None
