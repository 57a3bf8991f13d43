# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Read and verify a bundle on disk. Used by modules on the controller and by action plugins; writes nothing."""

from __future__ import annotations

import os

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import hash_files, walk_files
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import (
    MANIFEST,
    SIGNATURE,
    BundleError,
    BundleFile,
    BundleImage,
    Manifest,
    parse_manifest,
)
from ansible_collections.airgap.mlops.plugins.module_utils._oci import (
    Blob,
    OciError,
    blob_path,
    parse_config,
    parse_index,
)
from ansible_collections.airgap.mlops.plugins.module_utils._oci import parse_manifest as parse_oci_manifest

__all__ = (
    "Blob",
    "BundleError",
    "BundleFile",
    "BundleImage",
    "Manifest",
    "image_blobs",
    "image_config_arch",
    "inspect_bundle",
    "read_manifest",
    "verify_bundle",
)

# More would not be read; the first ones say what happened.
_SHOWN = 20


def read_manifest(path: str) -> Manifest:
    """The manifest of the bundle in the directory path, checked in itself but not against the files."""
    if not os.path.isdir(path):
        what = "is a file, not a directory" if os.path.exists(path) else "does not exist"
        raise BundleError(
            f"the bundle {path} {what}: make one with the playbook airgap.mlops.bundle, or name the directory of one that you have"
        )
    name = os.path.join(path, MANIFEST)
    try:
        with open(name, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError as exc:
        raise BundleError(
            f"the bundle {path} has no {MANIFEST}, which is written last: it is unfinished or was only partly copied. "
            "Run the playbook airgap.mlops.bundle again, or copy the bundle again"
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise BundleError(f"{name} cannot be read: {exc}") from exc
    return parse_manifest(text, name)


def inspect_bundle(path: str, arch: str | None) -> Manifest:
    """The manifest of a bundle, every file of which is as it says. `arch`: the one that is wanted."""
    manifest = read_manifest(path)
    # Before the long part: nobody wants to wait for the digests of the wrong bundle.
    if arch and arch != manifest.arch:
        raise BundleError(
            f"the bundle {path} is for {manifest.arch}, but {arch} is wanted: name a bundle made with arch {arch}"
        )
    verify_bundle(path, manifest)
    return manifest


def verify_bundle(path: str, manifest: Manifest) -> None:
    """Compare every file with the manifest, and every image with its blobs. One error names all that is wrong."""
    problems = _compare_files(path, manifest)
    if not problems:
        # The blobs are now known to be what their names say, so their content can be trusted to parse.
        problems = _compare_images(path, manifest)
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise BundleError(
            f"the bundle {path} is not as it was made: {'; '.join(problems[:_SHOWN] + more)}. "
            "Copy the bundle again, or run the playbook airgap.mlops.bundle again on the build host, which mends it",
            problems=problems,
        )


def image_blobs(path: str, digest: str) -> list[Blob]:
    """All blobs that an image needs: its manifest, its config and its layers from the lowest up."""
    name = os.path.join(path, "oci", blob_path(digest))
    text = _read(name)
    return [Blob(digest, len(text.encode())), *parse_oci_manifest(text, name).blobs]


def image_config_arch(path: str, digest: str) -> str:
    """The architecture that an image's config names."""
    config = image_blobs(path, digest)[1]
    name = os.path.join(path, "oci", blob_path(config.digest))
    return parse_config(_read(name), name).architecture


def _read(name: str) -> str:
    try:
        with open(name, encoding="utf-8", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise BundleError(f"{name} cannot be read ({exc}): copy the bundle again") from exc


def _compare_files(path: str, manifest: Manifest) -> list[str]:
    wanted = {item.path: item for item in manifest.files}
    present = {item: size for item, size in walk_files(path).items() if item not in (MANIFEST, SIGNATURE)}
    problems = [f"{item} is missing" for item in sorted(wanted.keys() - present.keys())]
    problems += [f"{item} does not belong to it" for item in sorted(present.keys() - wanted.keys())]
    same_size = []
    for item in sorted(wanted.keys() & present.keys()):
        if present[item] == wanted[item].size:
            same_size.append(item)
        else:
            problems.append(f"{item} has {present[item]} bytes instead of {wanted[item].size}")
    digests = hash_files(path, {item: wanted[item].size for item in same_size})
    problems += [
        f"{item} has other content than its sha256 in {MANIFEST} says"
        for item in same_size
        if digests[item] != wanted[item].sha256
    ]
    return problems


def _compare_images(path: str, manifest: Manifest) -> list[str]:
    listed = {item.path for item in manifest.files}
    index_name = os.path.join(path, "oci", "index.json")
    problems = []
    try:
        index = {(entry.reference, entry.digest) for entry in parse_index(_read(index_name), index_name)}
        wanted = {(image.reference, image.digest) for image in manifest.images.values()}
        problems += [
            f"oci/index.json lists {reference or digest}, which {MANIFEST} does not"
            for reference, digest in sorted(index - wanted)
        ]
        problems += [f"oci/index.json does not list {reference}" for reference, digest in sorted(wanted - index)]
        for image in manifest.images.values():
            missing = [
                blob.digest for blob in image_blobs(path, image.digest) if "oci/" + blob_path(blob.digest) not in listed
            ]
            problems += [
                f"image {image.name} needs the blob {digest}, which {MANIFEST} does not list" for digest in missing
            ]
            arch = manifest.arch if missing else image_config_arch(path, image.digest)
            if arch != manifest.arch:
                problems.append(f"image {image.name} ({image.reference}) is for {arch}, the bundle for {manifest.arch}")
    except OciError as exc:
        problems.append(str(exc))
    return problems
