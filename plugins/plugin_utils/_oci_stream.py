# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""An OCI image layout as a tar stream that holds only the blobs a node lacks.

The stream is made on the fly from the bundle's blobs: no tar file is written on the controller, and its size is known
before its first byte, so that the receiver knows when it has all of it.
"""

from __future__ import annotations

import json
import tarfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

__all__ = ("Blob", "OciStream", "missing_blobs", "rechunk")

_BLOCK = 512
_READ = 1024 * 1024


class Blob(t.Protocol):
    """A blob of the bundle."""

    @property
    def digest(self) -> str: ...
    @property
    def size(self) -> int: ...


def missing_blobs(needed: t.Iterable[Blob], present: t.Container[str]) -> list[Blob]:
    """The blobs to send: each once, in the order in which they were named, without those that the node has."""
    missing: dict[str, Blob] = {}
    for blob in needed:
        if blob.digest not in present:
            missing.setdefault(blob.digest, blob)
    return list(missing.values())


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % _BLOCK)


@dataclass(frozen=True)
class OciStream:
    """`descriptors` are the entries of the bundle's index.json for the wanted images, by reference."""

    layout: Path
    descriptors: t.Mapping[str, t.Mapping[str, t.Any]]
    blobs: t.Sequence[Blob]

    def _index(self) -> bytes:
        manifests = [
            {
                **{key: value for key, value in descriptor.items() if key != "annotations"},
                # The first annotation is containerd's own name for it, taken as it is; the second is the standard's.
                "annotations": {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference},
            }
            for reference, descriptor in sorted(self.descriptors.items())
        ]
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
        return json.dumps(index, sort_keys=True).encode()

    def _members(self) -> list[tuple[str, bytes]]:
        return [("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'), ("index.json", self._index())]

    @property
    def size(self) -> int:
        """Bytes of the whole stream."""
        sizes = [len(content) for _name, content in self._members()] + [blob.size for blob in self.blobs]
        return sum(_BLOCK + size + (-size % _BLOCK) for size in sizes) + 2 * _BLOCK

    def __iter__(self) -> t.Iterator[bytes]:
        for name, content in self._members():
            yield _header(name, len(content)) + content + _padding(len(content))
        for blob in self.blobs:
            yield from self._blob(blob)
        yield b"\0" * (2 * _BLOCK)

    def _blob(self, blob: Blob) -> t.Iterator[bytes]:
        algorithm, digest = blob.digest.split(":", maxsplit=1)
        name = f"blobs/{algorithm}/{digest}"
        yield _header(name, blob.size)
        with (self.layout / name).open("rb") as file:
            left = blob.size
            while left:
                data = file.read(min(_READ, left))
                if not data:
                    raise OSError(
                        f"{file.name} has {blob.size - left} bytes where the bundle's manifest says {blob.size}."
                    )
                left -= len(data)
                yield data
        yield _padding(blob.size)


def rechunk(pieces: t.Iterable[bytes], size: int) -> t.Iterator[bytes]:
    """The same bytes in pieces of `size` (the last may be smaller): few round trips, little memory."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)
