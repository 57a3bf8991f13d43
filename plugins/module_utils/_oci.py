# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What an OCI image layout says: indexes, manifests and configs as small values. Pure: text in, values out."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = (
    "LAYOUT_FILE",
    "Blob",
    "IndexEntry",
    "Layer",
    "OciConfig",
    "OciError",
    "OciManifest",
    "blob_path",
    "image_reference",
    "parse_config",
    "parse_index",
    "parse_manifest",
    "render_index",
)

LAYOUT_FILE = '{"imageLayoutVersion":"1.0.0"}'
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# What a tag may hold besides letters and digits; a version's + is the usual stranger.
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9_.-]")


class OciError(AirgapError):
    """A part of an image layout is not what the specification says."""


@dataclass(frozen=True)
class Blob:
    """One content-addressed file."""

    digest: str
    size: int


@dataclass(frozen=True)
class Layer(Blob):
    """A layer as it is stored: compressed as the media type says."""

    media_type: str


@dataclass(frozen=True)
class IndexEntry:
    """One image of a layout."""

    reference: str
    digest: str
    size: int


@dataclass(frozen=True)
class OciManifest:
    config: Blob
    layers: tuple[Layer, ...]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (self.config, *(Blob(layer.digest, layer.size) for layer in self.layers))


@dataclass(frozen=True)
class OciConfig:
    architecture: str
    os: str


def blob_path(digest: str) -> str:
    """Where a blob lies in a layout."""
    return "blobs/" + digest.replace(":", "/", 1)


def image_reference(name: str, version: str, digest: str) -> str:
    """The one name an image has on every node: it changes exactly when the content does."""
    tag = _NOT_IN_TAG.sub("-", version)
    return f"airgap.local/{name}:{tag}-{digest.partition(':')[2][:12]}"


def parse_index(text: str, where: str) -> list[IndexEntry]:
    """The images of index.json; those without a name have an empty reference."""
    data = _mapping(text, where)
    entries = []
    for item in _items(data.get("manifests"), where):
        annotations = item.get("annotations")
        reference = annotations.get(REF_NAME, "") if isinstance(annotations, dict) else ""
        blob = _blob(item, where)
        entries.append(IndexEntry(str(reference), blob.digest, blob.size))
    return entries


def parse_manifest(text: str, where: str) -> OciManifest:
    data = _mapping(text, where)
    if "manifests" in data:
        raise OciError(
            f"{where} is a list of images for several platforms: name the digest of the one for the bundle's architecture"
        )
    config = data.get("config")
    if not isinstance(config, dict):
        raise OciError(f"{where} is not an image manifest: it names no config")
    layers = []
    for item in _items(data.get("layers"), where):
        blob = _blob(item, where)
        layers.append(Layer(blob.digest, blob.size, str(item.get("mediaType", ""))))
    return OciManifest(config=_blob(config, where), layers=tuple(layers))


def parse_config(text: str, where: str) -> OciConfig:
    data = _mapping(text, where)
    architecture, system = data.get("architecture"), data.get("os")
    if not isinstance(architecture, str) or not isinstance(system, str):
        raise OciError(f"{where} is not an image config: it names no architecture and os")
    return OciConfig(architecture=architecture, os=system)


def render_index(entries: t.Iterable[IndexEntry]) -> str:
    """index.json of these images, the same text for the same images."""
    manifests = [
        {
            "mediaType": MANIFEST_TYPE,
            "digest": entry.digest,
            "size": entry.size,
            "annotations": {REF_NAME: entry.reference},
        }
        for entry in sorted(entries, key=lambda entry: entry.reference)
    ]
    return json.dumps({"schemaVersion": 2, "manifests": manifests}, separators=(",", ":")) + "\n"


def _mapping(text: str, where: str) -> dict[str, t.Any]:
    try:
        data = json.loads(text)
    except ValueError as exc:
        raise OciError(f"{where} is not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise OciError(f"{where} is not a JSON object")
    return data


def _items(value: object, where: str) -> list[dict[str, t.Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise OciError(f"{where} lists no manifests or layers")
    return value


def _blob(item: dict[str, t.Any], where: str) -> Blob:
    digest, size = item.get("digest"), item.get("size")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise OciError(f"{where} names the digest {digest!r}, which is not sha256")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise OciError(f"{where} gives {digest} the size {size!r}")
    return Blob(digest, size)
