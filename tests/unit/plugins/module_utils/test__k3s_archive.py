# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import bz2
import gzip
import io
import json
import pathlib
import shutil
import subprocess
import tarfile
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._k3s_archive import check_archive, image_archs
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_release import ReleaseError

Files = dict[str, bytes]


def encoded(value: t.Any) -> bytes:
    return json.dumps(value).encode()


def saved(*archs: str) -> Files:
    """As `docker save` and k3s' own releases have it."""
    entries = [{"Config": f"{arch}.json", "RepoTags": [f"rancher/pause-{arch}:3.6"], "Layers": []} for arch in archs]
    configs = {f"{arch}.json": encoded({"architecture": arch}) for arch in archs}
    return {**configs, "manifest.json": encoded(entries)}


def layout(*archs: str, index: bool = False) -> Files:
    """As `ctr images export` has it: one image, with an index of its own where it is for several architectures."""
    files: Files = {}
    entries = []
    for arch in archs:
        files[f"blobs/sha256/c{arch}"] = encoded({"architecture": arch})
        files[f"blobs/sha256/m{arch}"] = encoded({"config": {"digest": f"sha256:c{arch}"}, "layers": []})
        entries.append({"digest": f"sha256:m{arch}"})
    if index:
        absent = {"digest": "sha256:ms390x", "platform": {"architecture": "s390x"}}
        files["blobs/sha256/i"] = encoded({"manifests": [*entries, absent]})
        entries = [{"digest": "sha256:i"}]
    named = {"annotations": {"io.containerd.image.name": "docker.io/rancher/pause:3.6"}}
    return {**files, "index.json": encoded({"manifests": [{**entry, **named} for entry in entries]})}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (saved("amd64", "arm64"), {"rancher/pause-amd64:3.6": {"amd64"}, "rancher/pause-arm64:3.6": {"arm64"}}),
        (layout("arm64"), {"docker.io/rancher/pause:3.6": {"arm64"}}),
        (layout("amd64", "arm64", index=True), {"docker.io/rancher/pause:3.6": {"amd64", "arm64"}}),
    ],
)
def test_architectures_of_images(files: Files, expected: dict[str, set[str]]) -> None:
    assert image_archs(files) == expected


def packed(path: pathlib.Path, files: Files) -> str:
    """A tar of these files and a layer, compressed as the name says."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in {"layer/layer.tar": bytes(2 << 20), **files}.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = plain.getvalue()
    for suffix, command in ((".zst", "zstd"), (".lz4", "lz4")):
        if path.suffix == suffix:
            if not shutil.which(command):
                pytest.skip(f"no {command} here")
            data = subprocess.run([command, "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    if path.suffix in (".gz", ".bz2"):
        data = (gzip if path.suffix == ".gz" else bz2).compress(data)
    path.write_bytes(data)
    return str(path)


SUFFIXES = [".tar", ".tar.gz", ".tar.bz2", ".tar.zst", ".tar.lz4"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_of_the_right_architecture(tmp_path: pathlib.Path, suffix: str) -> None:
    check_archive(packed(tmp_path / f"images{suffix}", saved("amd64")), suffix, "amd64")


@pytest.mark.parametrize("files", [saved("amd64"), layout("amd64"), saved("amd64", "arm64")])
def test_another_architecture_is_named(tmp_path: pathlib.Path, files: Files) -> None:
    path = packed(tmp_path / "images.tar.gz", files)
    with pytest.raises(
        ReleaseError, match="core images .* the bundle is for arm64, and the archive has .*pause.* for amd64"
    ):
        check_archive(path, ".tar.gz", "arm64")


def test_an_archive_without_images(tmp_path: pathlib.Path) -> None:
    path = packed(tmp_path / "images.tar", {"manifest.json": b"[]"})
    with pytest.raises(ReleaseError, match="for amd64, and the archive has no image"):
        check_archive(path, ".tar", "amd64")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_archive(tmp_path: pathlib.Path, suffix: str) -> None:
    path = tmp_path / f"images{suffix}"
    path.write_bytes(b"<html>" * 400)
    if suffix == ".tar.lz4" and not shutil.which("lz4"):
        pytest.skip("no lz4 here")
    with pytest.raises(ReleaseError, match="is no whole archive of container images"):
        check_archive(str(path), suffix, "amd64")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.zst"])
def test_an_archive_that_was_cut_off(tmp_path: pathlib.Path, suffix: str) -> None:
    path = pathlib.Path(packed(tmp_path / f"images{suffix}", saved("amd64")))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ReleaseError, match="is no whole archive"):
        check_archive(str(path), suffix, "amd64")


def test_an_archive_of_something_else(tmp_path: pathlib.Path) -> None:
    path = packed(tmp_path / "images.tar", {"README": b"hello"})
    with pytest.raises(ReleaseError, match="neither manifest.json nor index.json"):
        check_archive(path, ".tar", "amd64")
