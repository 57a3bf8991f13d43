# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What a bundle shall hold, and the steps from what is there to that. Pure: no I/O."""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import FORMAT, BundleError, render_manifest
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_store import Facts, StoredImage
from ansible_collections.airgap.mlops.plugins.module_utils._oci import (
    LAYOUT_FILE,
    IndexEntry,
    blob_path,
    image_reference,
    render_index,
)

__all__ = ("BundlePlan", "BundleSpec", "NamedImage", "WantedFile", "blob_files", "plan_bundle", "wanted_bundle")


# What an image's own facts must not cover.
_TOP_LEVEL = {"format", "name", "version", "arch", "k3s", "images", "size", "files"}


@dataclass(frozen=True)
class WantedFile:
    """One file of the bundle: copied from source, or with the given content."""

    path: str
    sha256: str
    size: int
    source: str = ""
    content: bytes = b""
    mode: int = 0o644

    @classmethod
    def of_content(cls, path: str, content: bytes) -> WantedFile:
        return cls(path, hashlib.sha256(content).hexdigest(), len(content), content=content)


@dataclass(frozen=True)
class NamedImage:
    """An image of the cache with its place in the bundle."""

    name: str
    version: str
    source: str
    stored: StoredImage
    facts: Facts

    @property
    def reference(self) -> str:
        return image_reference(self.name, self.version, self.stored.digest)


@dataclass(frozen=True)
class BundleSpec:
    """The parts that the other bundle modules found, and what the bundle is called."""

    version: str
    arch: str
    k3s: dict[str, t.Any]
    images: tuple[NamedImage, ...]
    wheels: tuple[WantedFile, ...]

    def check(self) -> None:
        names = [image.name for image in self.images]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BundleError(
                f"images names {', '.join(twice)} twice: each image has one name and one place in the bundle"
            )
        taken = sorted(set(names) & _TOP_LEVEL)
        if taken:
            raise BundleError(
                f"no image can be called {', '.join(taken)}: the manifest uses this name for something else"
            )
        for what, arch in [(f"the image {image.name}", image.stored.arch) for image in self.images] + [
            ("k3s", self.k3s["arch"])
        ]:
            if arch != self.arch:
                raise BundleError(f"{what} is for {arch}, the bundle for {self.arch}: make both with the same arch")


@dataclass(frozen=True)
class BundlePlan:
    """Files to write and to remove; the manifest comes last of all."""

    writes: tuple[WantedFile, ...]
    removals: tuple[str, ...]
    manifest: str
    manifest_changed: bool
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return bool(self.writes or self.removals or self.manifest_changed)

    @property
    def actions(self) -> list[str]:
        manifest = ["write manifest.yml"] if self.changed else []
        return [f"remove {path}" for path in self.removals] + [f"write {item.path}" for item in self.writes] + manifest

    @property
    def bytes(self) -> int:
        return sum(item.size for item in self.writes)

    @property
    def diff(self) -> dict[str, str]:
        return {
            "before": "".join(f"{line}\n" for line in self.before),
            "after": "".join(f"{line}\n" for line in self.after),
        }


def blob_files(images: t.Iterable[NamedImage], blob: t.Callable[[str], str]) -> list[WantedFile]:
    """The blobs of all images, each once, however many images share it."""
    sizes: dict[str, int] = {}
    for image in images:
        sizes.update(image.stored.blobs)
    return [
        WantedFile("oci/" + blob_path(digest), digest.partition(":")[2], size, blob(digest))
        for digest, size in sorted(sizes.items())
    ]


def wanted_bundle(spec: BundleSpec, blob: t.Callable[[str], str]) -> tuple[list[WantedFile], dict[str, t.Any]]:
    """Every file but the manifest, and the manifest's content. blob tells where a blob lies in the cache."""
    spec.check()
    blobs = blob_files(spec.images, blob)
    index = render_index(
        IndexEntry(image.reference, image.stored.digest, image.stored.manifest_size) for image in spec.images
    )
    binary, archive = spec.k3s["binary"], spec.k3s["images"]
    k3s_files = [
        WantedFile("files/k3s", binary["sha256"], binary["size"], binary["path"], mode=0o755),
        WantedFile(
            f"files/k3s-airgap-images-{spec.arch}{archive['suffix']}",
            archive["sha256"],
            archive["size"],
            archive["path"],
        ),
    ]
    layout = [
        WantedFile.of_content("oci/oci-layout", LAYOUT_FILE.encode()),
        WantedFile.of_content("oci/index.json", index.encode()),
    ]
    files = sorted([*layout, *blobs, *k3s_files, *spec.wheels], key=lambda item: item.path)
    unpacked = {layer.digest: layer.unpacked for image in spec.images for layer in image.stored.layers}
    facts = {image.name: dict(sorted(image.facts.items())) for image in spec.images if image.facts}
    data = {
        "format": FORMAT,
        "name": "airgap-mlops",
        "version": spec.version,
        "arch": spec.arch,
        "k3s": {
            "version": spec.k3s["version"],
            "source": spec.k3s["source"],
            "binary": k3s_files[0].path,
            "images": k3s_files[1].path,
        },
        "images": {image.name: _describe(image) for image in spec.images},
        # What the images said of themselves, such as mlflow.schema_head.
        **facts,
        "size": {
            "files": sum(item.size for item in files),
            "images": sum(item.size for item in blobs),
            "unpacked": sum(unpacked.values()),
        },
        "files": [{"path": item.path, "sha256": item.sha256, "size": item.size} for item in files],
    }
    return files, data


def plan_bundle(
    files: t.Iterable[WantedFile], data: dict[str, t.Any], actual: t.Mapping[str, str], manifest: str | None
) -> BundlePlan:
    """Compare with what is there: actual maps paths to sha256 (anything else for what cannot be right), manifest is its text."""
    wanted = {item.path: item for item in files}
    text = render_manifest(data)
    writes = tuple(item for path, item in sorted(wanted.items()) if actual.get(path) != item.sha256)
    removals = tuple(sorted(actual.keys() - wanted.keys()))
    differing = sorted({item.path for item in writes} | set(removals))
    sealed = [hashlib.sha256((manifest or "").encode()).hexdigest()] if manifest != text else []
    return BundlePlan(
        writes=writes,
        removals=removals,
        manifest=text,
        manifest_changed=manifest != text,
        before=tuple(
            [f"{path} {actual[path]}" for path in differing if path in actual]
            + [f"manifest.yml {item}" for item in sealed if manifest is not None]
        ),
        after=tuple(
            [f"{path} {wanted[path].sha256}" for path in differing if path in wanted]
            + [f"manifest.yml {hashlib.sha256(text.encode()).hexdigest()}" for _item in sealed]
        ),
    )


def safe_wheel_path(name: str) -> str:
    """Where a wheel lies in the bundle."""
    if "/" in name or not name.endswith(".whl"):
        raise BundleError(f"wheels: {name!r} is not the file name of a wheel")
    return f"wheels/{name}"


def _describe(image: NamedImage) -> dict[str, t.Any]:
    return {
        "reference": image.reference,
        "version": image.version,
        "digest": image.stored.digest,
        "size": image.stored.size,
        "unpacked": image.stored.unpacked,
        # Images share some: whoever adds up several counts each once.
        "layers": [asdict(layer) for layer in image.stored.layers],
        "source": image.source,
    }
