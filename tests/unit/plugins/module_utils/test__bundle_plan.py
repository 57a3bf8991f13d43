# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import (
    BundleError,
    parse_manifest,
    render_manifest,
)
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_plan import (
    BundlePlan,
    BundleSpec,
    NamedImage,
    WantedFile,
    plan_bundle,
    safe_wheel_path,
    wanted_bundle,
)
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_store import StoredImage, StoredLayer


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


BASE = StoredLayer(digest("0"), 100, 300)


def image(name: str, letters: str, *, arch: str = "amd64", facts: dict[str, str] | None = None) -> NamedImage:
    """An image on the shared base layer: letters name its manifest, its config and its own layer."""
    stored = StoredImage(
        arch, digest(letters[0]), 5, digest(letters[1]), 7, (BASE, StoredLayer(digest(letters[2]), 10, 30))
    )
    return NamedImage(name, "1.0", "build", stored, dict(facts or {}))


K3S: dict[str, t.Any] = {
    "version": "v1.35.7+k3s1",
    "source": "release",
    "arch": "amd64",
    "binary": {"path": "/c/k3s", "sha256": "1" * 64, "size": 1000},
    "images": {"path": "/c/i.tar.zst", "sha256": "2" * 64, "size": 2000, "suffix": ".tar.zst"},
}
WHEEL = WantedFile("wheels/a-1-py3-none-any.whl", "3" * 64, 50, "/c/a.whl")


def spec(*images: NamedImage) -> BundleSpec:
    return BundleSpec("1.0.0", "amd64", K3S, images, (WHEEL,))


def wanted(bundle: BundleSpec) -> tuple[list[WantedFile], dict[str, t.Any]]:
    return wanted_bundle(bundle, lambda name: f"/cache/{name}")


PAIR = spec(image("mlflow", "abc", facts={"schema_head": "beef"}), image("redis", "def"))


def plan(bundle: BundleSpec, actual: dict[str, str], manifest: str | None) -> BundlePlan:
    return plan_bundle(*wanted(bundle), actual, manifest)


def whole(bundle: BundleSpec) -> tuple[dict[str, str], str]:
    files, data = wanted(bundle)
    return {item.path: item.sha256 for item in files}, render_manifest(data)


def test_a_shared_layer_is_there_once() -> None:
    files, data = wanted(PAIR)
    assert [item.source for item in files].count(f"/cache/{BASE.digest}") == 1
    assert data["images"]["redis"]["size"] == 122
    assert data["images"]["redis"]["unpacked"] == 330
    assert data["images"]["redis"]["layers"] == [
        {"digest": BASE.digest, "size": 100, "unpacked": 300},
        {"digest": digest("f"), "size": 10, "unpacked": 30},
    ]
    assert data["size"]["images"] == 144
    assert data["size"]["unpacked"] == 360
    assert data["size"]["files"] == sum(item.size for item in files)


def test_the_manifest_can_be_read_back() -> None:
    manifest = parse_manifest(whole(PAIR)[1], "m")
    assert manifest.images["redis"].reference == "airgap.local/redis:1.0-dddddddddddd"
    assert manifest.data["mlflow"] == {"schema_head": "beef"}
    assert "redis" not in manifest.data
    assert manifest.k3s_images == "files/k3s-airgap-images-amd64.tar.zst"


@pytest.mark.parametrize(
    ("damage", "actions"),
    [
        pytest.param({}, [], id="nothing to do"),
        pytest.param({"files/k3s": "x"}, ["write files/k3s", "write manifest.yml"], id="damaged file is mended"),
        pytest.param({WHEEL.path: None}, [f"write {WHEEL.path}", "write manifest.yml"], id="missing file is written"),
        pytest.param(
            {"oci/blobs/sha256/old": "x"}, ["remove oci/blobs/sha256/old", "write manifest.yml"], id="stranger goes"
        ),
    ],
)
def test_only_what_differs_is_done(damage: dict[str, str | None], actions: list[str]) -> None:
    actual, manifest = whole(PAIR)
    merged = {path: value for path, value in {**actual, **damage}.items() if value is not None}
    result = plan(PAIR, merged, manifest)
    assert result.actions == actions
    assert result.changed == bool(actions)
    assert (result.diff["before"] != result.diff["after"]) == bool(actions)


def test_an_empty_directory_gets_everything() -> None:
    result = plan(PAIR, {}, None)
    assert len(result.writes) == len(wanted(PAIR)[0])
    assert result.diff["before"] == ""
    assert result.actions[-1] == "write manifest.yml"
    assert result.bytes == wanted(PAIR)[1]["size"]["files"]


@pytest.mark.parametrize("manifest", [None, "", "other"])
def test_a_manifest_that_differs_is_written_alone(manifest: str | None) -> None:
    assert plan(PAIR, whole(PAIR)[0], manifest).actions == ["write manifest.yml"]


def test_a_new_layer_of_one_image_is_all_that_is_written() -> None:
    actual, manifest = whole(PAIR)
    newer = spec(image("mlflow", "abc", facts={"schema_head": "beef"}), image("redis", "de9"))
    result = plan(newer, actual, manifest)
    assert [item.path for item in result.writes] == ["oci/blobs/sha256/" + "9" * 64]
    assert result.removals == ("oci/blobs/sha256/" + "f" * 64,)


@pytest.mark.parametrize(
    ("bundle", "message"),
    [
        pytest.param(spec(image("redis", "abc"), image("redis", "def")), "images names redis twice", id="twice"),
        pytest.param(spec(image("files", "abc")), "no image can be called files", id="reserved name"),
        pytest.param(
            spec(image("redis", "abc", arch="arm64")), "the image redis is for arm64, the bundle for amd64", id="arch"
        ),
        pytest.param(BundleSpec("1", "amd64", {**K3S, "arch": "arm64"}, (), ()), "k3s is for arm64", id="arch of k3s"),
    ],
)
def test_parts_that_do_not_fit_are_named(bundle: BundleSpec, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        wanted(bundle)


@pytest.mark.parametrize("name", ["../a.whl", "/a.whl", "a.tar.gz"])
def test_a_wheel_stays_in_its_folder(name: str) -> None:
    with pytest.raises(BundleError, match="is not the file name of a wheel"):
        safe_wheel_path(name)
