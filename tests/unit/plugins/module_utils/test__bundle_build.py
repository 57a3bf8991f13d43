# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pathlib
import shutil
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_build import ImageBuilder
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_inputs import BuildOptions
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_store import ImageStore, StoredImage
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

IMAGES = pathlib.Path(__file__).resolve().parents[4] / "images"
BUILT = ("postgresql", "minio", "redis", "mlflow", "mindsdb", "gateway")


class FullStore:
    """Has an image under every key, whose digest is the key: what is found differs exactly when a key does."""

    def find(self, key: str) -> StoredImage:
        return StoredImage("amd64", f"sha256:{key}", 1, "sha256:0", 1, ())


@pytest.fixture
def images(tmp_path: pathlib.Path) -> pathlib.Path:
    copy = tmp_path / "images"
    shutil.copytree(IMAGES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for project in ("gateway/src/gateway", "mindsdb/tabular_handler"):
        (copy / project).mkdir(parents=True, exist_ok=True)
    return copy


def digests(images: pathlib.Path, **options: t.Any) -> dict[str, str]:
    builder = ImageBuilder(t.cast(ImageStore, FullStore()), Host(str(images.parent / "log")), build=False)
    wanted = BuildOptions(str(images), "amd64", 3, 0)
    found = {name: builder.ensure(name, replace(wanted, **options) if name == "mlflow" else wanted) for name in BUILT}
    return {name: image.digest for name, image in found.items() if image}


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name in BUILT if before[name] != after[name]]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("gateway/src/gateway/new.py", ["mlflow", "gateway"], id="the library is in MLflow's image too"),
        pytest.param("gateway/tests/unit/test_new.py", [], id="tests are in none"),
        pytest.param("gateway/src/gateway/__pycache__/new.cpython-313.pyc", [], id="nor is byte code of the checkout"),
        pytest.param("mindsdb/tabular_handler/new.py", ["mindsdb"], id="the engine is MindsDB's alone"),
        pytest.param("mlflow/new", ["mlflow", "mindsdb", "gateway"], id="two images stand on MLflow's"),
        pytest.param("gateway/new", ["gateway"], id="a file beside the project"),
        pytest.param("redis/new", ["redis"], id="an image without a project"),
    ],
)
def test_what_a_new_file_builds_again(images: pathlib.Path, path: str, expected: list[str]) -> None:
    before = digests(images)
    (images / path).parent.mkdir(parents=True, exist_ok=True)
    (images / path).write_text("1")
    assert changed(before, digests(images)) == expected


def test_a_lock_of_another_folder_counts(images: pathlib.Path) -> None:
    before = digests(images)
    tools = images / "mlflow/requirements-build.txt"
    tools.write_text(tools.read_text() + "# another\n")
    assert changed(before, digests(images)) == ["mlflow", "mindsdb", "gateway"]


@pytest.mark.parametrize(
    "options", [{"packages": ("libgomp1",)}, {"files": (("x", "0" * 64, "/x"),)}], ids=["packages", "files"]
)
def test_what_is_added_to_mlflow_leaves_the_images_above_as_they_are(
    images: pathlib.Path, options: dict[str, t.Any]
) -> None:
    assert changed(digests(images), digests(images, **options)) == ["mlflow"]


def test_questions_to_an_image_are_no_part_of_it(images: pathlib.Path) -> None:
    before = digests(images)
    recipe = images / "redis/image.yml"
    recipe.write_text(recipe.read_text() + "lists: {names: [ls]}\n")
    assert changed(before, digests(images)) == []


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        pytest.param("gateway/pyproject.toml", "gateway holds no pyproject.toml", id="project"),
        pytest.param("mlflow/requirements-build.txt", "requirements-build.txt, which the recipe of", id="lock"),
    ],
)
def test_what_a_recipe_names_must_be_there(images: pathlib.Path, gone: str, message: str) -> None:
    (images / gone).unlink()
    with pytest.raises(AirgapError, match=message):
        digests(images)
