from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.airgap.mlops.plugins.plugin_utils._oci_stream import OciStream, missing_blobs, rechunk


@dataclass(frozen=True)
class Blob:
    digest: str
    size: int


@pytest.fixture
def blobs(tmp_path: Path) -> list[Blob]:
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    made = []
    for content in (b"manifest", b"x" * 512, b"y" * 3_000_000):
        digest = hashlib.sha256(content).hexdigest()
        (tmp_path / "blobs/sha256" / digest).write_bytes(content)
        made.append(Blob(f"sha256:{digest}", len(content)))
    return made


def stream(layout: Path, blobs: list[Blob]) -> OciStream:
    descriptor = {"mediaType": "m", "digest": blobs[0].digest, "size": blobs[0].size, "annotations": {"old": "x"}}
    return OciStream(layout, {"airgap.local/a:1": descriptor, "airgap.local/b:1": descriptor}, blobs)


def test_it_is_a_tar_of_the_announced_size(tmp_path: Path, blobs: list[Blob]) -> None:
    whole = b"".join(stream(tmp_path, blobs))
    assert len(whole) == stream(tmp_path, blobs).size
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]
    assert members["oci-layout"] == b'{"imageLayoutVersion": "1.0.0"}'
    index = json.loads(members["index.json"])
    assert [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]] == [
        "airgap.local/a:1",
        "airgap.local/b:1",
    ]
    assert "old" not in index["manifests"][0]["annotations"]
    for blob in blobs:
        assert hashlib.sha256(members[f"blobs/sha256/{blob.digest[7:]}"]).hexdigest() == blob.digest[7:]


def test_the_same_bytes_each_time(tmp_path: Path, blobs: list[Blob]) -> None:
    assert b"".join(stream(tmp_path, blobs)) == b"".join(stream(tmp_path, blobs))


def test_a_blob_that_is_cut_off_is_named(tmp_path: Path, blobs: list[Blob]) -> None:
    with pytest.raises(OSError, match="has 8 bytes where the bundle's manifest says 9"):
        list(stream(tmp_path, [Blob(blobs[0].digest, 9)]))


def test_what_is_missing() -> None:
    a, b, c = Blob("sha256:a", 1), Blob("sha256:b", 1), Blob("sha256:c", 1)
    assert missing_blobs([a, b, a, c, b], {"sha256:c"}) == [a, b]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], []),
        ([b"abc"], [b"ab", b"c"]),
        ([b"a", b"b", b"cd"], [b"ab", b"cd"]),
        ([b"abcdefg"], [b"ab", b"cd", b"ef", b"g"]),
    ],
)
def test_rechunk(pieces: list[bytes], expected: list[bytes]) -> None:
    def source() -> Iterator[bytes]:
        yield from pieces

    assert list(rechunk(source(), 2)) == expected
