# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import (
    GoBuild,
    Recipe,
    RecipeError,
    Rootfs,
    Wheels,
    content_key,
    image_files,
    parse_recipe,
    project_files,
)

IMAGES = pathlib.Path(__file__).resolve().parents[4] / "images"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "rootfs: {suite: trixie, include: [tzdata]}",
            Recipe("x", rootfs=Rootfs("trixie", include=("tzdata",))),
            id="from nothing",
        ),
        pytest.param(
            "base: base\nfacts: {version: [cat, /v]}\nlists: {names: [ls]}",
            Recipe("x", base="base", facts={"version": ("cat", "/v")}, lists={"names": ("ls",)}),
            id="on a base",
        ),
        pytest.param(
            "base: b\nwheels: {python: '3.13', lock: l, tools: t, sdists: [a]}",
            Recipe("x", base="b", wheels=Wheels("3.13", "l", "t", ("a",))),
            id="wheels",
        ),
        pytest.param(
            "base: b\nwheels: {python: '3.13', lock: l, tools: ../y/t, projects: [x]}",
            Recipe("x", base="b", wheels=Wheels("3.13", "l", "../y/t", projects=("x",))),
            id="projects",
        ),
        pytest.param(
            "base: b\ngo: {binary: m, tags: [k], variables: {a.B: c}}",
            Recipe("x", base="b", go=GoBuild("m", ("k",), {"a.B": "c"})),
            id="go",
        ),
    ],
)
def test_recipes(text: str, expected: Recipe) -> None:
    assert parse_recipe("x", text, "images/x/image.yml") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "images/x/image.yml is not valid YAML", id="not YAML"),
        pytest.param("", "images/x/image.yml is not a mapping", id="empty"),
        pytest.param("bsae: b", "unknown bsae; known are base, rootfs", id="misspelt"),
        pytest.param("facts: {}", "expected either base", id="neither base nor rootfs"),
        pytest.param("base: b\nrootfs: {suite: s}", "expected either base", id="both"),
        pytest.param("base: ../b", "base is '../b'", id="path as base"),
        pytest.param(
            "base: b\nfacts: {version: cat}", "facts is not a mapping of names to commands", id="command as text"
        ),
        pytest.param(
            "base: b\nfacts: {version: []}", "facts is not a mapping of names to commands", id="empty command"
        ),
        pytest.param("base: b\nwheels: {python: 3.13}", "wheels.python is 3.13", id="number for a version"),
        pytest.param("base: b\nwheels: {python: '3.13'}", "wheels is incomplete", id="incomplete"),
        pytest.param(
            "base: b\nwheels: {python: '3.13', lock: l, tools: t, projects: [../y]}",
            "wheels.projects names '../y', expected the name of a folder of images",
            id="path as project",
        ),
        pytest.param("base: b\ngo: {binary: m, tag: [k]}", "go: unknown tag", id="misspelt inside"),
        pytest.param("base: b\ngo: {binary: m, variables: [k]}", "go.variables is ['k']", id="list for a mapping"),
    ],
)
def test_a_wrong_recipe_is_named(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)) as caught:
        parse_recipe("x", text, "images/x/image.yml")
    assert str(caught.value).startswith("images/x/image.yml")


@pytest.mark.parametrize("path", sorted(IMAGES.glob("*/image.yml")), ids=lambda path: path.parent.name)
def test_the_recipes_of_the_collection_are_right(path: pathlib.Path) -> None:
    recipe = parse_recipe(path.parent.name, path.read_text(), str(path))
    assert recipe.base is None or (IMAGES / recipe.base / "image.yml").exists()
    if recipe.wheels:
        assert (path.parent / recipe.wheels.lock).exists()
        assert (path.parent / recipe.wheels.tools).exists()
        assert all((IMAGES / project / "pyproject.toml").exists() for project in recipe.wheels.projects)
    assert (path.parent / "Containerfile").exists()


FOLDER = [
    "Containerfile",
    "README.md",
    "image.yml",
    "pyproject.toml",
    "requirements.txt",
    "src/x/__init__.py",
    "src/x/__pycache__/__init__.cpython-313.pyc",
    "src/x/py.typed",
    "src/x.egg-info/PKG-INFO",
    "tests/unit/test_x.py",
]


def test_a_line_of_code_is_no_part_of_the_layers_below_it() -> None:
    assert image_files(FOLDER) == ["Containerfile", "image.yml", "requirements.txt"]
    assert project_files(FOLDER) == ["README.md", "pyproject.toml", "src/x/__init__.py", "src/x/py.typed"]


def test_without_a_project_every_file_is_the_images() -> None:
    assert image_files(["b/c", "a"]) == ["a", "b/c"]


@given(st.dictionaries(st.text(st.characters(categories=["Ll"]), min_size=1), st.lists(st.text()), min_size=1))
def test_a_key_depends_on_content_and_not_on_order(inputs: dict[str, t.Any]) -> None:
    key = content_key(**inputs)
    assert key == content_key(**dict(reversed(list(inputs.items()))))
    name = next(iter(inputs))
    assert key != content_key(**{**inputs, name: [*inputs[name], "more"]})
