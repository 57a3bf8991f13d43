# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import re
import struct

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_release import (
    Release,
    ReleaseError,
    binary_arch,
    image_suffix,
    parse_sums,
)

BASE = "https://github.com/k3s-io/k3s/releases/download"
# Lines as a release publishes them: the binary and three archives, bare names.
SUMS = "\n".join(
    f"{letter * 64}  {name}"
    for letter, name in zip(
        "abcd",
        ["k3s", "k3s-airgap-images-amd64.tar", "k3s-airgap-images-amd64.tar.gz", "k3s-airgap-images-amd64.tar.zst"],
    )
)


@pytest.mark.parametrize(
    ("arch", "names"),
    [
        ("amd64", ("k3s", "k3s-airgap-images-amd64.tar.zst", "sha256sum-amd64.txt")),
        ("arm64", ("k3s-arm64", "k3s-airgap-images-arm64.tar.zst", "sha256sum-arm64.txt")),
    ],
)
def test_a_release_has_the_names_that_k3s_gives_its_files(arch: str, names: tuple[str, ...]) -> None:
    release = Release(BASE, "v1.35.7+k3s1", arch)
    assert (release.binary, release.images, release.sums) == names
    assert release.url("x") == f"{BASE}/v1.35.7%2Bk3s1/x"
    assert Release(f"{BASE}/", "v1.35.7+k3s1", arch).url("x") == release.url("x")


@pytest.mark.parametrize("version", ["1.35.7+k3s1", "v1.35.7", "stable", "v1.35.7+k3s1/..", ""])
def test_what_is_no_release_is_refused(version: str) -> None:
    with pytest.raises(AirgapError, match="k3s"):
        Release(BASE, version, "amd64")


def test_sums_are_found_by_name() -> None:
    wanted = ("k3s", "k3s-airgap-images-amd64.tar.zst")
    assert parse_sums(SUMS, "s", wanted) == {"k3s": "a" * 64, "k3s-airgap-images-amd64.tar.zst": "d" * 64}
    assert parse_sums(SUMS.replace("  ", " *"), "s", wanted)["k3s"] == "a" * 64


@pytest.mark.parametrize(
    "text", ["", "<html>Not Found</html>", SUMS.replace("k3s-airgap", "other"), "a" * 63 + "  k3s"]
)
def test_a_file_without_the_sums_is_named(text: str) -> None:
    with pytest.raises(ReleaseError, match=r"sums.txt has no sha256 of .*k3s-airgap-images-amd64.tar.zst"):
        parse_sums(text, "sums.txt", ("k3s", "k3s-airgap-images-amd64.tar.zst"))


@pytest.mark.parametrize(
    ("path", "suffix"), [("a.tar.zst", ".tar.zst"), ("/x/y.tar", ".tar"), ("a.tgz", ".tgz"), ("a.b.tar.gz", ".tar.gz")]
)
def test_the_suffix_of_an_archive_is_kept(path: str, suffix: str) -> None:
    assert image_suffix(path) == suffix


@pytest.mark.parametrize("path", ["a.tar.xz", "a.zst", "images", "a.txt", "a.TAR"])
def test_an_archive_that_k3s_would_ignore_is_refused(path: str) -> None:
    with pytest.raises(ReleaseError, match=re.escape(f"{path} has none of the suffixes")):
        image_suffix(path)


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine)


def test_the_architecture_stands_in_the_binary() -> None:
    assert binary_arch(elf(62), "k3s") == "amd64"
    assert binary_arch(elf(183), "k3s") == "arm64"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"#!/bin/sh\necho k3s version v1", "no ELF header"),
        (b"", "no ELF header"),
        (elf(40), "ELF type 40, which is neither"),
    ],
)
def test_what_is_no_binary_of_ours_is_named(head: bytes, message: str) -> None:
    with pytest.raises(ReleaseError, match=f"/x/k3s .*{message}"):
        binary_arch(head, "/x/k3s")
