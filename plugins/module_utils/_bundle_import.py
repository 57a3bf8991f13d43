# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Take an image that somebody else built: from a registry by its digest, or from an archive. I/O only."""

from __future__ import annotations

import json
import os
import re
import tarfile
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import host_lock
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import hash_file
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import content_key
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_store import ImageStore, StoredImage
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._oci import parse_index

__all__ = ("ImageImporter", "ImportOptions", "archive_source", "pull_source")

_BY_DIGEST = re.compile(r"docker://[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class ImportOptions:
    """An image by reference (pull) or in a file (archive)."""

    name: str
    arch: str
    compression_level: int
    image: str
    archive: str | None
    authfile: str | None
    tls_verify: bool


class ImageImporter:
    """Finds an image in the store by the key of its source, or copies it there."""

    def __init__(self, store: ImageStore, host: Host, *, fetch: bool) -> None:
        self.store = store
        self.host = host
        self.fetch = fetch
        self.fetched: list[str] = []

    def ensure(self, options: ImportOptions) -> StoredImage | None:
        """The image, copied if need be. Without leave to fetch: None where that would be needed."""
        if options.archive:
            source, identity = self._archive(options.archive, options)
        else:
            source, identity = pull_source(options.image, options.authfile, options.tls_verify), options.image
        key = content_key(source=identity, arch=options.arch)
        image = self.store.find(key)
        if image or not self.fetch:
            return image
        self.host.need("skopeo", "zstd")
        platform = ["--override-os", "linux", "--override-arch", options.arch]
        what = f"the image {options.name} ({options.archive or options.image})"
        with host_lock("images"):
            image = self.store.keep(key, self.host, [*platform, *source], options.arch, what)
        self.fetched.append(options.name)
        return image

    def _archive(self, path: str, options: ImportOptions) -> tuple[list[str], str]:
        if not os.path.isfile(path):
            raise AirgapError(f"the archive {path} of the image {options.name} does not exist or is no file")
        source = archive_source(path, options.image)
        if source[-1].startswith("docker-archive:"):
            # docker save does not compress.
            source = ["--dest-compress-format", "zstd", f"--dest-compress-level={options.compression_level}", *source]
        return source, f"{hash_file(path)} {options.image} {options.compression_level}"


def pull_source(image: str, authfile: str | None, tls_verify: bool) -> list[str]:
    """skopeo's words for an image of a registry."""
    if not _BY_DIGEST.fullmatch(image):
        raise AirgapError(
            f"image {image!r} must be pulled by its digest, for a tag may be another image tomorrow: "
            "write docker://REGISTRY/NAME@sha256:DIGEST (skopeo inspect docker://REGISTRY/NAME:TAG prints it)"
        )
    credentials = ["--src-authfile", authfile] if authfile else []
    return [*credentials, f"--src-tls-verify={'true' if tls_verify else 'false'}", image]


def archive_source(path: str, image: str) -> list[str]:
    """skopeo's words for an image in a tarball, as docker save or an OCI tool wrote it."""
    try:
        with tarfile.open(path) as archive:
            transport, names = _inspect(archive, path)
    except (tarfile.TarError, EOFError, OSError, ValueError) as exc:
        raise AirgapError(f"the archive {path} cannot be read as a tarball (plain or gzip): {exc}") from exc
    shown = ", ".join(name or "(without a name)" for name in names)
    if image and image not in names:
        raise AirgapError(f"the archive {path} holds no image {image}; it holds {shown}")
    if not image and len(names) != 1:
        raise AirgapError(f"the archive {path} holds {len(names)} images: name one of {shown}")
    name = image or names[0]
    return [f"{transport}:{path}:{name}" if name else f"{transport}:{path}"]


def _inspect(archive: tarfile.TarFile, path: str) -> tuple[str, list[str]]:
    members = {name.removeprefix("./"): name for name in archive.getnames()}
    # Newer docker save writes both; its layout part is the one with digests.
    if "index.json" in members and "oci-layout" in members:
        return "oci-archive", [
            entry.reference for entry in parse_index(_text(archive, members["index.json"]), f"index.json of {path}")
        ]
    if "manifest.json" in members:
        entries: list[dict[str, t.Any]] = json.loads(_text(archive, members["manifest.json"]))
        return "docker-archive", [tag for entry in entries for tag in (entry.get("RepoTags") or [""])]
    raise AirgapError(
        f"{path} is a tarball, but not of images: neither docker save's manifest.json nor an OCI layout is in it"
    )


def _text(archive: tarfile.TarFile, name: str) -> str:
    stream = archive.extractfile(name)
    if stream is None:
        raise AirgapError(f"{name} in the archive is not a file")
    return stream.read().decode()
