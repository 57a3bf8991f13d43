"""The locks of images that stand on one another."""

from __future__ import annotations

import pathlib
import tomllib

import pytest
from packaging.requirements import Requirement

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_wheels import normal_name, parse_lock

ROOT = pathlib.Path(__file__).resolve().parents[2]


def locked(image: str) -> dict[str, str]:
    return {
        normal_name(item.name): item.version
        for item in parse_lock((ROOT / f"images/{image}/requirements.txt").read_text(), image)
    }


@pytest.mark.parametrize("image", ["mlflow", "mindsdb", "gateway"])
def test_the_images_share_their_pins(image: str) -> None:
    """One image stands on the other: what both use must have the version of their common solution."""
    pins = {}
    for line in (ROOT / "images/mlflow/constraints.txt").read_text().splitlines():
        name, mark, version = line.partition("==")
        if mark:
            pins[normal_name(name.strip())] = version.split()[0]
    assert not {name: version for name, version in locked(image).items() if pins.get(name, version) != version}
    assert image == "gateway" or locked(image).keys() <= pins.keys()


def test_the_common_solution_holds_both() -> None:
    assert locked("mlflow").items() <= locked("mindsdb").items()


@pytest.mark.parametrize("image", ["gateway", "mindsdb"])
def test_a_project_finds_its_needs_in_its_image(image: str) -> None:
    project = tomllib.loads((ROOT / f"images/{image}/pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(item for extra in project.get("optional-dependencies", {}).values() for item in extra),
    ]
    have = {**locked("mlflow"), **locked(image)}
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(have[normal_name(requirement.name)]), requirement
    if image == "gateway":
        # MLflow's image holds the library alone.
        for requirement in map(Requirement, project["dependencies"]):
            assert requirement.specifier.contains(locked("mlflow")[normal_name(requirement.name)]), requirement


def test_image_code_is_tested_with_the_versions_of_its_images() -> None:
    lock = (ROOT / "tests/images/requirements.txt").read_text()
    tested = {normal_name(item.name): item.version for item in parse_lock(lock, "tests/images")}
    for image in ("mlflow", "mindsdb", "gateway"):
        assert not {name: version for name, version in locked(image).items() if tested.get(name, version) != version}, (
            image
        )
