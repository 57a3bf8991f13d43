# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""For which architectures the images of an archive are. I/O: streams it once, and keeps only what describes images.

Both forms that containerd imports are read: `docker save` (manifest.json) and an OCI layout (index.json).
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import posixpath
import subprocess
import tarfile
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._k3s_release import ReleaseError

__all__ = ("check_archive", "image_archs")

# Manifests and configurations are some KB; layers are not worth keeping.
_LARGEST = 1 << 20
_PROGRAMS = {".tar.zst": "zstd", ".tzst": "zstd", ".tar.lz4": "lz4"}
_LIBRARIES: dict[str, t.Callable[[str], t.Any]] = {
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tbz": bz2.open,
}
Files = t.Mapping[str, bytes]


def check_archive(path: str, suffix: str, arch: str) -> None:
    """Raise unless every image of the archive is for this architecture, or can be (an image for several)."""
    try:
        with _opened(path, suffix) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            archs = image_archs(_descriptions(archive))
    except (tarfile.TarError, OSError, EOFError, KeyError, TypeError, ValueError) as exc:
        raise ReleaseError(
            f"{path} is no whole archive of container images ({exc}): name the k3s-airgap-images archive of the release"
        ) from exc
    other = {name: found for name, found in archs.items() if arch not in found}
    if other or not archs:
        shown = ", ".join(f"{name} for {'/'.join(sorted(found))}" for name, found in sorted(other.items())[:3])
        raise ReleaseError(
            f"the core images {path} do not fit: the bundle is for {arch}, and the archive has {shown or 'no image'}. "
            "Name the archive of that architecture"
        )


def image_archs(files: Files) -> dict[str, set[str]]:
    """By name of an image (or, where it has none, its digest) its architectures, from an archive's JSON files."""
    if "manifest.json" in files:
        return {
            str((entry.get("RepoTags") or [entry["Config"]])[0]): {_architecture(files, entry["Config"])}
            for entry in json.loads(files["manifest.json"])
        }
    if "index.json" not in files:
        raise ValueError("it has neither manifest.json nor index.json")
    archs: dict[str, set[str]] = {}
    for entry in json.loads(files["index.json"])["manifests"]:
        names = entry.get("annotations") or {}
        name = names.get("io.containerd.image.name") or names.get("org.opencontainers.image.ref.name")
        archs.setdefault(str(name or entry["digest"]), set()).update(_archs_of(files, entry))
    return archs


def _archs_of(files: Files, entry: t.Mapping[str, t.Any]) -> set[str]:
    """Of a manifest the one of its configuration; of an index those whose manifests are in the archive."""
    described = json.loads(files[_blob(entry["digest"])])
    if "manifests" in described:
        inside = [item for item in described["manifests"] if _blob(item["digest"]) in files]
        return {arch for item in inside for arch in _archs_of(files, item)} - {"unknown"}  # attestations
    return {_architecture(files, _blob(described["config"]["digest"]))}


def _architecture(files: Files, config: str) -> str:
    return str(json.loads(files[config])["architecture"])


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/', 1)}"


def _descriptions(archive: tarfile.TarFile) -> dict[str, bytes]:
    found = {}
    for member in archive:
        content = archive.extractfile(member) if member.isfile() and member.size <= _LARGEST else None
        if content is not None:
            found[posixpath.normpath(member.name)] = content.read()
    return found


@contextlib.contextmanager
def _opened(path: str, suffix: str) -> t.Iterator[t.Any]:
    """The archive unpacked, as a stream. Python knows neither zstd nor lz4, the build host does."""
    if suffix not in _PROGRAMS:
        with _LIBRARIES.get(suffix, open)(path, **({} if suffix in _LIBRARIES else {"mode": "rb"})) as stream:
            yield stream
        return
    command = [_PROGRAMS[suffix], "--decompress", "--stdout", "--quiet", path]
    if command[0] == "zstd":
        command.insert(1, "--long=31")
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            yield program.stdout
            error = program.communicate()[1].decode("utf-8", "replace").strip()
            if program.returncode != 0:
                raise OSError(error or f"{command[0]} ended with exit code {program.returncode}")
    except FileNotFoundError as exc:
        raise ReleaseError(
            f"{path} cannot be read: this host has no {command[0]}; install the package of this name"
        ) from exc
