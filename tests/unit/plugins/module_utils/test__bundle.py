# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle import (
    BundleError,
    image_blobs,
    inspect_bundle,
    read_manifest,
    verify_bundle,
)
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import render_manifest
from ansible_collections.airgap.mlops.plugins.module_utils._oci import (
    LAYOUT_FILE,
    IndexEntry,
    image_reference,
    render_index,
)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Bundle:
    """A small bundle on disk: one image of two layers, k3s and one wheel."""

    def __init__(self, root: pathlib.Path, image_arch: str = "amd64") -> None:
        self.root = root
        self.layers = [b"first layer", b"second layer"]
        config = json.dumps({"architecture": image_arch, "os": "linux"}).encode()
        described = [{"digest": f"sha256:{sha(item)}", "size": len(item), "mediaType": "tar"} for item in self.layers]
        manifest = json.dumps(
            {"config": {"digest": f"sha256:{sha(config)}", "size": len(config)}, "layers": described}
        ).encode()
        self.digest = f"sha256:{sha(manifest)}"
        self.reference = image_reference("redis", "8.1.1", self.digest)
        for blob in (*self.layers, config, manifest):
            self.put(f"oci/blobs/sha256/{sha(blob)}", blob)
        self.put("oci/oci-layout", LAYOUT_FILE.encode())
        self.put("oci/index.json", render_index([IndexEntry(self.reference, self.digest, len(manifest))]).encode())
        self.put("files/k3s", b"binary")
        self.put("files/images.tar.zst", b"archive")
        self.put("wheels/a-1-py3-none-any.whl", b"wheel")
        self.seal()

    def put(self, path: str, content: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)

    def blob(self, number: int) -> str:
        return f"oci/blobs/sha256/{sha(self.layers[number])}"

    def seal(self, **changes: t.Any) -> None:
        """Write a manifest that agrees with what lies there now."""
        files = {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and path.name != "manifest.yml"
        }
        data = {
            "format": 1,
            "name": "airgap-mlops",
            "version": "1.0.0",
            "arch": "amd64",
            "k3s": {
                "version": "v1.35.7+k3s1",
                "source": "path",
                "binary": "files/k3s",
                "images": "files/images.tar.zst",
            },
            "images": {
                "redis": {
                    "reference": self.reference,
                    "version": "8.1.1",
                    "digest": self.digest,
                    "size": 1,
                    "unpacked": 1,
                    "layers": [],
                    "source": "build",
                }
            },
            "size": {"files": 1, "images": 1, "unpacked": 1},
            "files": [
                {"path": path, "sha256": sha(content), "size": len(content)} for path, content in sorted(files.items())
            ],
            **changes,
        }
        self.put("manifest.yml", render_manifest(data).encode())

    def verify(self) -> None:
        verify_bundle(str(self.root), read_manifest(str(self.root)))


@pytest.fixture
def bundle(tmp_path: pathlib.Path) -> Bundle:
    return Bundle(tmp_path)


def test_a_whole_bundle_passes(bundle: Bundle) -> None:
    bundle.verify()
    bundle.put("manifest.yml.sig", b"a signature is no stranger")
    bundle.verify()


def test_blobs_of_an_image_come_in_order(bundle: Bundle) -> None:
    blobs = image_blobs(str(bundle.root), bundle.digest)
    assert blobs[0].digest == bundle.digest
    assert blobs[0].size == (bundle.root / "oci/blobs/sha256" / bundle.digest[7:]).stat().st_size
    assert [blob.digest for blob in blobs[2:]] == [f"sha256:{sha(layer)}" for layer in bundle.layers]


@pytest.mark.parametrize(
    "name",
    [
        "files/k3s",
        "files/images.tar.zst",
        "wheels/a-1-py3-none-any.whl",
        "oci/index.json",
        "oci/oci-layout",
        pytest.param(None, id="blob"),
    ],
)
def test_a_flipped_byte_is_named(bundle: Bundle, name: str | None) -> None:
    path = bundle.root / (name or bundle.blob(1))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(BundleError, match=re.escape(f"{path.relative_to(bundle.root)} has other content")) as caught:
        bundle.verify()
    assert len(caught.value.details["problems"]) == 1
    assert "Copy the bundle again" in str(caught.value)


def test_everything_that_is_wrong_comes_in_one_message(bundle: Bundle) -> None:
    (bundle.root / "files/k3s").unlink()
    (bundle.root / bundle.blob(0)).write_bytes(b"longer than it was")
    bundle.put("files/notes.txt", b"")
    os.symlink("/", bundle.root / "oci/link")
    with pytest.raises(BundleError) as caught:
        bundle.verify()
    assert caught.value.details["problems"] == [
        "files/k3s is missing",
        "files/notes.txt does not belong to it",
        "oci/link does not belong to it",
        f"{bundle.blob(0)} has 18 bytes instead of 11",
    ]


def test_a_long_list_is_cut(bundle: Bundle) -> None:
    for number in range(30):
        bundle.put(f"files/{number:02}", b"")
    with pytest.raises(BundleError, match="files/19 does not belong to it; and 10 more"):
        bundle.verify()


def test_an_image_of_another_architecture_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(
        BundleError, match=r"image redis \(airgap.local/redis:8.1.1-.*\) is for arm64, the bundle for amd64"
    ):
        Bundle(tmp_path, image_arch="arm64").verify()


def test_an_index_that_tells_another_story_is_named(bundle: Bundle) -> None:
    bundle.put("oci/index.json", render_index([IndexEntry("airgap.local/other:1", bundle.digest, 1)]).encode())
    bundle.seal()
    with pytest.raises(
        BundleError,
        match=r"lists airgap.local/other:1, which manifest.yml does not; oci/index.json does not list airgap.local/redis",
    ):
        bundle.verify()


def test_a_layer_that_was_left_out_is_named(bundle: Bundle) -> None:
    (bundle.root / bundle.blob(0)).unlink()
    bundle.seal()
    with pytest.raises(
        BundleError,
        match=f"image redis needs the blob sha256:{sha(bundle.layers[0])}, which manifest.yml does not list",
    ):
        bundle.verify()


def test_a_missing_or_unfinished_bundle_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere does not exist: make one"):
        read_manifest(str(tmp_path / "nowhere"))
    with pytest.raises(BundleError, match=r"has no manifest.yml, which is written last"):
        read_manifest(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="file is a file, not a directory"):
        read_manifest(str(tmp_path / "file"))
    (tmp_path / "manifest.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(BundleError, match=r"manifest.yml cannot be read"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize("arch", [None, "amd64"])
def test_a_whole_bundle_of_the_wanted_arch(bundle: Bundle, arch: str | None) -> None:
    assert inspect_bundle(str(bundle.root), arch).arch == "amd64"


def test_the_wrong_arch_is_refused_before_the_long_part(bundle: Bundle) -> None:
    (bundle.root / "files/k3s").unlink()
    with pytest.raises(BundleError, match="is for amd64, but arm64 is wanted"):
        inspect_bundle(str(bundle.root), "arm64")
