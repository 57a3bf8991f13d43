# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""manifest.yml of a bundle, format 1: text to values and back. Pure: no I/O."""

from __future__ import annotations

import hashlib
import re
import traceback
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._oci import blob_path

try:
    import yaml
except ImportError:
    YAML_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    YAML_IMPORT_ERROR = None

__all__ = (
    "ARCHITECTURES",
    "FORMAT",
    "MANIFEST",
    "SIGNATURE",
    "BundleError",
    "BundleFile",
    "BundleImage",
    "BundleLayer",
    "Manifest",
    "parse_manifest",
    "render_manifest",
)

FORMAT = 1
MANIFEST = "manifest.yml"
SIGNATURE = "manifest.yml.sig"
ARCHITECTURES = ("amd64", "arm64")
_HEX = re.compile(r"[0-9a-f]{64}")
# The last line. A flipped bit in a size or a version is still valid YAML; this finds it.
_SEAL = "# sha256 of the lines above: "
_AGAIN = "carry the bundle over again, or make it again with airgap.mlops.bundle"


class BundleError(AirgapError):
    """A bundle that must not be used."""


@dataclass(frozen=True)
class BundleLayer:
    """One layer of an image, with its bytes in the bundle and on a node's disk."""

    digest: str
    size: int
    unpacked: int


@dataclass(frozen=True)
class BundleImage:
    """One component image."""

    name: str
    reference: str
    version: str
    digest: str
    size: int
    unpacked: int
    layers: tuple[BundleLayer, ...]
    source: str


@dataclass(frozen=True)
class BundleFile:
    """One file of the bundle, by its path below the bundle's directory."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What a bundle promises."""

    version: str
    arch: str
    k3s_version: str
    k3s_binary: str
    k3s_images: str
    images: dict[str, BundleImage]
    files: tuple[BundleFile, ...]
    data: dict[str, t.Any]


def render_manifest(data: dict[str, t.Any]) -> str:
    """The text of manifest.yml: the same for the same content, sealed by its own digest."""
    body = "---\n" + yaml.safe_dump(data, sort_keys=False, default_flow_style=False, width=160)
    return body + _SEAL + hashlib.sha256(body.encode()).hexdigest() + "\n"


def parse_manifest(text: str, where: str) -> Manifest:
    """Read and check manifest.yml. Every error names the file, the place in it and the way out."""
    data = _load(text, where)
    number = data.get("format")
    if not isinstance(number, int) or isinstance(number, bool):
        raise BundleError(f"{where}: format is {number!r}, expected a number: {_AGAIN}")
    if number > FORMAT:
        raise BundleError(
            f"{where} has format {number}, but this release of airgap.mlops reads up to {FORMAT}: install a newer airgap.mlops"
        )
    if number < 1:
        raise BundleError(f"{where} has format {number}, which never existed: {_AGAIN}")
    # After the format: a newer one may be sealed in another way.
    _check_seal(text, where)
    at = _At(data, where)
    if at.text("name") != "airgap-mlops":
        raise BundleError(f"{where}: this is a bundle of {data['name']!r}, not of airgap-mlops: name another directory")
    arch = at.text("arch")
    if arch not in ARCHITECTURES:
        raise BundleError(f"{where}: arch is {arch!r}, expected one of {', '.join(ARCHITECTURES)}: {_AGAIN}")
    k3s = at.mapping("k3s")
    images = at.mapping("images")
    manifest = Manifest(
        version=at.text("version"),
        arch=arch,
        k3s_version=k3s.text("version"),
        k3s_binary=k3s.text("binary"),
        k3s_images=k3s.text("images"),
        images={name: _image(name, images.mapping(name)) for name in images.data},
        files=tuple(_file(item) for item in at.mappings("files")),
        data=data,
    )
    _check_agreement(manifest, where)
    return manifest


def _load(text: str, where: str) -> dict[str, t.Any]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise BundleError(
            f"{where} is not valid YAML, so it was damaged on the way ({' '.join(str(exc).split())}): {_AGAIN}"
        ) from exc
    if not isinstance(data, dict):
        raise BundleError(f"{where} is not a mapping, so it is no manifest of a bundle: {_AGAIN}")
    return data


def _check_seal(text: str, where: str) -> None:
    body, mark, seal = text.rpartition(_SEAL)
    if not mark or seal.rstrip("\n") != hashlib.sha256(body.encode()).hexdigest():
        raise BundleError(
            f"{where} was changed after it was written (its last line no longer matches the rest): {_AGAIN}"
        )


@dataclass(frozen=True)
class _At:
    """A mapping of the manifest that knows its place, for the errors."""

    data: dict[str, t.Any]
    where: str

    def text(self, key: str) -> str:
        value = self.data.get(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, value, "a text")
        return value

    def number(self, key: str) -> int:
        value = self.data.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(key, value, "a size in bytes")
        return value

    def mapping(self, key: str) -> _At:
        value = self.data.get(key)
        if not isinstance(value, dict):
            raise self._wrong(key, value, "a mapping")
        return _At(value, f"{self.where}: {key}")

    def mappings(self, key: str) -> list[_At]:
        value = self.data.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(key, value, "a list of mappings")
        return [_At(item, f"{self.where}: {key}[{index}]") for index, item in enumerate(value)]

    def _wrong(self, key: str, value: object, expected: str) -> BundleError:
        found = "is missing" if value is None else f"is {value!r}"
        return BundleError(f"{self.where}: {key} {found}, expected {expected}: {_AGAIN}")


def _image(name: str, at: _At) -> BundleImage:
    return BundleImage(
        name=name,
        reference=at.text("reference"),
        version=at.text("version"),
        digest=at.text("digest"),
        size=at.number("size"),
        unpacked=at.number("unpacked"),
        layers=tuple(
            BundleLayer(layer.text("digest"), layer.number("size"), layer.number("unpacked"))
            for layer in at.mappings("layers")
        ),
        source=at.text("source"),
    )


def _file(at: _At) -> BundleFile:
    path, digest = at.text("path"), at.text("sha256")
    if path.startswith("/") or ".." in path.split("/"):
        raise BundleError(f"{at.where}: path {path!r} leaves the bundle: {_AGAIN}")
    if not _HEX.fullmatch(digest):
        raise BundleError(f"{at.where}: sha256 of {path} is {digest!r}: {_AGAIN}")
    return BundleFile(path=path, sha256=digest, size=at.number("size"))


def _check_agreement(manifest: Manifest, where: str) -> None:
    """Files and images must tell the same story."""
    files = {item.path: item for item in manifest.files}
    if len(files) != len(manifest.files):
        raise BundleError(f"{where}: files names a path twice: {_AGAIN}")
    for path in (manifest.k3s_binary, manifest.k3s_images):
        if path not in files:
            raise BundleError(f"{where}: k3s names {path}, which files does not list: {_AGAIN}")
    for image in manifest.images.values():
        listed = files.get("oci/" + blob_path(image.digest))
        if listed is None or f"sha256:{listed.sha256}" != image.digest:
            raise BundleError(
                f"{where}: image {image.name} has the digest {image.digest}, which files does not list: {_AGAIN}"
            )
        if not image.reference.endswith("-" + image.digest.partition(":")[2][:12]):
            raise BundleError(
                f"{where}: image {image.name} has the reference {image.reference}, which does not end in its digest {image.digest}: {_AGAIN}"
            )
