# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Images in the build cache: blobs once for all, and a record for each content key. I/O only."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tempfile
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import Cache
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import Recipe, content_key
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._oci import (
    blob_path,
    parse_config,
    parse_index,
    parse_manifest,
)

__all__ = ("Facts", "ImageStore", "StoredImage", "StoredLayer")

# What an image answered to its recipe's questions.
Facts = t.Dict[str, t.Union[str, t.List[str]]]  # noqa: UP006, UP007  # evaluated on Python 3.9
_KIND = "images"
_FACTS = "facts"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class StoredLayer:
    digest: str
    size: int
    unpacked: int


@dataclass(frozen=True)
class StoredImage:
    """What the cache knows of one image; also what bundle_image hands to bundle."""

    arch: str
    digest: str
    manifest_size: int
    config: str
    config_size: int
    layers: tuple[StoredLayer, ...]

    @property
    def blobs(self) -> dict[str, int]:
        return {
            self.digest: self.manifest_size,
            self.config: self.config_size,
            **{layer.digest: layer.size for layer in self.layers},
        }

    @property
    def size(self) -> int:
        return sum(self.blobs.values())

    @property
    def unpacked(self) -> int:
        return sum({layer.digest: layer.unpacked for layer in self.layers}.values())

    @classmethod
    def from_dict(cls, data: dict[str, t.Any]) -> StoredImage:
        return cls(**{**data, "layers": tuple(StoredLayer(**layer) for layer in data["layers"])})

    def to_dict(self) -> dict[str, t.Any]:
        return asdict(self)


class ImageStore:
    """The images part of the cache."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.blobs = cache.path(_KIND, "blobs")

    def blob(self, digest: str) -> str:
        return os.path.join(self.blobs, blob_path(digest).partition("/")[2])

    def find(self, key: str) -> StoredImage | None:
        """The image with this content key, if all of it is still there."""
        try:
            with open(os.path.join(self.cache.path(_KIND, key), "image.json"), encoding="utf-8") as stream:
                image = StoredImage.from_dict(json.load(stream))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            self.cache.discard(_KIND, key)
            return None
        try:
            whole = all(os.path.getsize(self.blob(digest)) == size for digest, size in image.blobs.items())
        except FileNotFoundError:
            whole = False
        if not whole:
            self.cache.discard(_KIND, key)
            return None
        return image

    def keep(self, key: str, host: Host, source: list[str], arch: str, what: str) -> StoredImage:
        """Copy an image into the store with skopeo (source: its options and where it is) and record it under the key."""
        with self.cache.workspace(_KIND) as work:
            layout = os.path.join(work, "oci")
            os.makedirs(self.blobs, exist_ok=True)
            host.run(["skopeo", "copy", "--dest-shared-blob-dir", self.blobs, *source, f"oci:{layout}:image"])
            index = os.path.join(layout, "index.json")
            image = self._describe(parse_index(_read(index), index)[0].digest, arch, what)
            self._publish(work, _KIND, key, "image.json", image.to_dict())
        return image

    def facts(self, image: StoredImage, recipe: Recipe) -> Facts | None:
        """What the image answered to the recipe's questions; None when it was not asked yet."""
        if not recipe.facts and not recipe.lists:
            return {}
        try:
            path = os.path.join(self.cache.path(_FACTS, _facts_key(image, recipe)), "facts.json")
            return t.cast("Facts", json.loads(_read(path)))
        except (FileNotFoundError, ValueError):
            return None

    def keep_facts(self, image: StoredImage, recipe: Recipe, facts: Facts) -> None:
        with self.cache.workspace(_FACTS) as work:
            self._publish(work, _FACTS, _facts_key(image, recipe), "facts.json", facts)

    def _publish(self, work: str, kind: str, key: str, name: str, content: dict[str, t.Any]) -> None:
        result = os.path.join(work, "result")
        os.mkdir(result)
        with open(os.path.join(result, name), "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1)
        self.cache.discard(kind, key)
        self.cache.publish(result, kind, key)

    def load(self, image: StoredImage, tag: str, host: Host) -> None:
        """Put a stored image into the host's container storage, for a build on top of it."""
        with tempfile.TemporaryDirectory(dir=self.cache.path(_KIND, "")) as work:
            with open(os.path.join(work, "oci-layout"), "w", encoding="utf-8") as stream:
                stream.write('{"imageLayoutVersion":"1.0.0"}')
            with open(os.path.join(work, "index.json"), "w", encoding="utf-8") as stream:
                manifest = {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": image.digest,
                    "size": image.manifest_size,
                }
                json.dump({"schemaVersion": 2, "manifests": [manifest]}, stream)
            host.run(
                ["skopeo", "copy", "--src-shared-blob-dir", self.blobs, f"oci:{work}", f"containers-storage:{tag}"]
            )

    def _describe(self, digest: str, arch: str, what: str) -> StoredImage:
        manifest_file = self.blob(digest)
        manifest = parse_manifest(_read(manifest_file), what)
        config = parse_config(_read(self.blob(manifest.config.digest)), what)
        if (config.os, config.architecture) != ("linux", arch):
            raise AirgapError(
                f"{what} is for {config.os}/{config.architecture}, the bundle for linux/{arch}: name an image of that architecture"
            )
        return StoredImage(
            arch=arch,
            digest=digest,
            manifest_size=os.path.getsize(manifest_file),
            config=manifest.config.digest,
            config_size=manifest.config.size,
            layers=tuple(
                StoredLayer(layer.digest, layer.size, _unpacked_size(self.blob(layer.digest), layer.media_type, what))
                for layer in manifest.layers
            ),
        )


def _facts_key(image: StoredImage, recipe: Recipe) -> str:
    return content_key(image=image.digest, facts=recipe.facts, lists=recipe.lists)


def _unpacked_size(path: str, media_type: str, what: str) -> int:
    """How large a layer is on a node's disk, near enough: the length of its tar stream."""
    if media_type.endswith("+zstd"):
        command = [shutil.which("zstd") or "zstd", "--decompress", "--stdout", "--long=31", path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            total = _length(t.cast("t.BinaryIO", process.stdout))
        if process.returncode:
            raise AirgapError(f"{what}: the layer {path} is not valid zstd")
        return total
    if media_type.endswith("gzip"):
        try:
            with gzip.open(path, "rb") as stream:
                return _length(t.cast("t.BinaryIO", stream))
        except (OSError, EOFError) as exc:
            raise AirgapError(f"{what}: the layer {path} is not valid gzip: {exc}") from exc
    return os.path.getsize(path)


def _length(stream: t.BinaryIO) -> int:
    total = 0
    while True:
        chunk = stream.read(_CHUNK)
        if not chunk:
            return total
        total += len(chunk)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()
