# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._oci import (
    Blob,
    IndexEntry,
    Layer,
    OciError,
    blob_path,
    image_reference,
    parse_config,
    parse_index,
    parse_manifest,
    render_index,
)

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
MANIFEST = {
    "config": {"digest": A, "size": 1},
    "layers": [{"digest": B, "size": 2, "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}],
}


def test_a_manifest_gives_its_blobs_from_the_config_up() -> None:
    manifest = parse_manifest(json.dumps(MANIFEST), "m")
    assert manifest.layers == (Layer(B, 2, "application/vnd.oci.image.layer.v1.tar+zstd"),)
    assert manifest.blobs == (Blob(A, 1), Blob(B, 2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "blobs/x is not JSON", id="damaged"),
        pytest.param("[]", "blobs/x is not a JSON object", id="list"),
        pytest.param('{"layers": []}', "names no config", id="no config"),
        pytest.param('{"manifests": []}', "list of images for several platforms", id="index in place of a manifest"),
        pytest.param(json.dumps({**MANIFEST, "layers": 3}), "lists no manifests or layers", id="layers"),
        pytest.param(json.dumps({**MANIFEST, "config": {"digest": "md5:1", "size": 1}}), "'md5:1'", id="digest"),
        pytest.param(json.dumps({**MANIFEST, "config": {"digest": A, "size": True}}), "the size True", id="size"),
        pytest.param(json.dumps({**MANIFEST, "config": {"digest": A, "size": -1}}), "the size -1", id="negative size"),
    ],
)
def test_a_manifest_that_is_none_is_named(text: str, message: str) -> None:
    with pytest.raises(OciError, match=re.escape(message)):
        parse_manifest(text, "blobs/x")


def test_a_config_without_a_platform_is_named() -> None:
    assert parse_config('{"architecture": "arm64", "os": "linux"}', "c").architecture == "arm64"
    with pytest.raises(OciError, match="c is not an image config"):
        parse_config("{}", "c")


@given(
    st.lists(
        st.builds(IndexEntry, st.text(min_size=1, max_size=20), st.sampled_from([A, B, C]), st.integers(0, 1 << 40)),
        unique_by=lambda entry: entry.reference,
    )
)
def test_an_index_is_read_as_it_was_written(entries: list[IndexEntry]) -> None:
    text = render_index(entries)
    assert sorted(parse_index(text, "i"), key=lambda entry: entry.reference) == sorted(
        entries, key=lambda entry: entry.reference
    )
    assert render_index(reversed(entries)) == text


def test_an_image_without_a_name_has_an_empty_reference() -> None:
    assert parse_index(json.dumps({"manifests": [{"digest": A, "size": 1}]}), "i") == [IndexEntry("", A, 1)]


def test_names() -> None:
    assert blob_path(A) == "blobs/sha256/" + "a" * 64
    assert image_reference("mlflow", "3.17.2+local1", A) == "airgap.local/mlflow:3.17.2-local1-aaaaaaaaaaaa"
