# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import copy
import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import (
    BundleError,
    BundleFile,
    parse_manifest,
    render_manifest,
)

HEX = "a" * 64
DATA: dict[str, t.Any] = {
    "format": 1,
    "name": "airgap-mlops",
    "version": "1.0.0",
    "arch": "amd64",
    "k3s": {"version": "v1.35.7+k3s1", "source": "release", "binary": "files/k3s", "images": "files/i.tar.zst"},
    "images": {
        "redis": {
            "reference": "airgap.local/redis:8.1.1-aaaaaaaaaaaa",
            "version": "8.1.1",
            "digest": f"sha256:{HEX}",
            "size": 3,
            "unpacked": 4,
            "layers": [{"digest": f"sha256:{HEX}", "size": 3, "unpacked": 4}],
            "source": "build",
        }
    },
    "size": {"files": 3, "images": 3, "unpacked": 4},
    "files": [
        {"path": "files/i.tar.zst", "sha256": "b" * 64, "size": 1},
        {"path": "files/k3s", "sha256": "c" * 64, "size": 1},
        {"path": f"oci/blobs/sha256/{HEX}", "sha256": HEX, "size": 1},
    ],
}
TEXT = render_manifest(DATA)


def changed(*path: t.Any, value: t.Any) -> str:
    """The manifest with another value at this place, sealed anew."""
    data = copy.deepcopy(DATA)
    at = data
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return render_manifest(data)


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = parse_manifest(TEXT, "m")
    assert manifest.data == DATA
    assert manifest.images["redis"].digest == f"sha256:{HEX}"
    assert manifest.files[1] == BundleFile("files/k3s", "c" * 64, 1)
    assert (manifest.arch, manifest.k3s_version, manifest.k3s_binary) == ("amd64", "v1.35.7+k3s1", "files/k3s")
    assert render_manifest(DATA) == TEXT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "b/manifest.yml is not valid YAML", id="not YAML"),
        pytest.param("- a", "is not a mapping", id="list"),
        pytest.param("", "is not a mapping", id="empty"),
        pytest.param("name: x", "format is None", id="no format"),
        pytest.param("format: '1'", "format is '1'", id="format as text"),
        pytest.param("format: 0", "which never existed", id="format 0"),
        pytest.param("format: 2\nelse: true", "reads up to 1: install a newer airgap.mlops", id="newer format"),
        pytest.param(TEXT.rpartition("# ")[0], "was changed after it was written", id="seal cut off"),
        pytest.param(TEXT.replace("version: 1.0.0", "version: 1.0.1"), "was changed after it was written", id="edited"),
        pytest.param(changed("name", value="other"), "a bundle of 'other'", id="of something else"),
        pytest.param(changed("version", value=1.0), "version is 1.0, expected a text", id="version as number"),
        pytest.param(changed("arch", value="riscv64"), "arch is 'riscv64'", id="unknown arch"),
        pytest.param(changed("k3s", value=None), "k3s is missing", id="no k3s"),
        pytest.param(
            changed("k3s", "binary", value="files/x"),
            "k3s names files/x, which files does not list",
            id="binary not listed",
        ),
        pytest.param(changed("images", "redis", "size", value=True), "images: redis: size is True", id="size"),
        pytest.param(changed("images", "redis", "layers", value=None), "redis: layers is missing", id="no layers"),
        pytest.param(
            changed("images", "redis", "layers", 0, "unpacked", value="4"),
            "layers[0]: unpacked is '4', expected a size",
            id="size of a layer",
        ),
        pytest.param(
            changed("images", "redis", "digest", value=f"sha256:{'d' * 64}"),
            "image redis has the digest",
            id="image not listed",
        ),
        pytest.param(
            changed("images", "redis", "reference", value="airgap.local/redis:1-b"),
            "does not end in its digest",
            id="reference",
        ),
        pytest.param(changed("files", value={}), "files is {}, expected a list of mappings", id="files"),
        pytest.param(changed("files", 0, "path", value="../x"), "'../x' leaves the bundle", id="path leaves"),
        pytest.param(changed("files", 0, "path", value="/x"), "'/x' leaves the bundle", id="absolute path"),
        pytest.param(changed("files", 0, "sha256", value="b"), "sha256 of files/i.tar.zst is 'b'", id="sum"),
        pytest.param(changed("files", 0, "path", value="files/k3s"), "files names a path twice", id="twice"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(BundleError, match=re.escape(message)) as caught:
        parse_manifest(text, "b/manifest.yml")
    assert str(caught.value).startswith(("b/manifest.yml",))


@given(st.integers(0, len(TEXT.encode()) - 2), st.integers(0, 7))
def test_any_flipped_bit_is_found(position: int, bit: int) -> None:
    raw = bytearray(TEXT.encode())
    raw[position] ^= 1 << bit
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return  # the reader reports what is no text before this function sees it
    with pytest.raises(BundleError, match="m"):
        parse_manifest(text, "m")
