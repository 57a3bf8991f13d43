# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""image.yml beside a Containerfile: what the build host prepares for it, and the key of the result. Pure: no I/O.

A recipe names what no RUN can fetch by itself (a root file system, wheels, a Go binary); it is laid under inputs/ of the
build context. The Containerfile says how it goes into the image.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

# A module that comes this far has looked at YAML_IMPORT_ERROR of _bundle_manifest.
with contextlib.suppress(ImportError):
    import yaml

__all__ = (
    "PROJECT",
    "GoBuild",
    "Recipe",
    "RecipeError",
    "Rootfs",
    "Wheels",
    "content_key",
    "image_files",
    "parse_recipe",
    "project_files",
)

# The file that makes a folder of images/ a Python project as well.
PROJECT = "pyproject.toml"
_PROJECT_TEXTS = ("README.md",)
_NOT_PACKAGED = {"__pycache__", "build", "dist", "tests"}
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")


class RecipeError(AirgapError):
    """image.yml is not what the builder reads."""


@dataclass(frozen=True)
class Rootfs:
    """A Debian root file system, made by mmdebstrap."""

    suite: str
    variant: str = "minbase"
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wheels:
    """Wheels for a Python, from a lock with hashes; sdists are built with what the lock of tools pins.
    projects are folders of images/ with a pyproject.toml: built the same way, and laid into a layer of their own above the rest."""

    python: str
    lock: str
    tools: str
    sdists: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoBuild:
    """A static binary from the Go module in the image's folder."""

    binary: str
    tags: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One folder below images/."""

    name: str
    base: str | None = None
    rootfs: Rootfs | None = None
    wheels: Wheels | None = None
    go: GoBuild | None = None
    # Questions to the finished image, as commands: answered by one line, or by a line for each item of a list.
    facts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)


def parse_recipe(name: str, text: str, where: str) -> Recipe:
    """Read image.yml. Every error names the file and the key."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise RecipeError(f"{where} is not valid YAML: {' '.join(str(exc).split())}") from exc
    data = _keys(data, where, ("base", "rootfs", "wheels", "go", "facts", "lists"))
    base = data.get("base")
    if base is not None and not (isinstance(base, str) and _NAME.fullmatch(base)):
        raise RecipeError(f"{where}: base is {base!r}, expected the name of another folder of images")
    if (base is None) == ("rootfs" not in data):
        raise RecipeError(f"{where}: expected either base (another image) or rootfs (a root file system)")
    wheels = _part(Wheels, data, "wheels", where)
    for project in wheels.projects if wheels else ():
        if not _NAME.fullmatch(project):
            raise RecipeError(f"{where}: wheels.projects names {project!r}, expected the name of a folder of images")
    return Recipe(
        name=name,
        base=base,
        rootfs=_part(Rootfs, data, "rootfs", where),
        wheels=wheels,
        go=_part(GoBuild, data, "go", where),
        facts=_commands(data, "facts", where),
        lists=_commands(data, "lists", where),
    )


def content_key(**inputs: t.Any) -> str:
    """A key that changes with anything that can change the result. Inputs are plain data (text, numbers, lists, mappings)."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def image_files(paths: t.Iterable[str]) -> list[str]:
    """The files of a folder that its image is built from. Beside a project these are only what lies at the top:
    the image's dependencies must not be laid in again because a line of code changed."""
    everything = sorted(paths)
    if PROJECT not in everything:
        return everything
    return [path for path in everything if "/" not in path and path not in (PROJECT, *_PROJECT_TEXTS)]


def project_files(paths: t.Iterable[str]) -> list[str]:
    """The files of a folder that its Python project is built from."""
    return [path for path in sorted(paths) if path in (PROJECT, *_PROJECT_TEXTS) or _is_packaged(path)]


def _is_packaged(path: str) -> bool:
    folders = path.split("/")[:-1]
    hidden = any(part.startswith(".") or part.endswith(".egg-info") or part in _NOT_PACKAGED for part in folders)
    return bool(folders) and not hidden and not path.endswith(".pyc")


_Part = t.TypeVar("_Part", Rootfs, Wheels, GoBuild)


def _part(kind: type[_Part], data: dict[str, t.Any], key: str, where: str) -> _Part | None:
    if key not in data:
        return None
    known = {name: str(item.type) for name, item in kind.__dataclass_fields__.items()}
    values = _keys(data[key], f"{where}: {key}", tuple(known))
    for name, value in values.items():
        kind_of_value = known[name]
        good = (
            _is_strings(value)
            if kind_of_value.startswith("tuple")
            else _is_mapping(value)
            if kind_of_value.startswith("dict")
            else isinstance(value, str)
        )
        if not good:
            raise RecipeError(f"{where}: {key}.{name} is {value!r}, expected {kind_of_value}")
    try:
        arguments: dict[str, t.Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return kind(**arguments)
    except TypeError as exc:
        raise RecipeError(f"{where}: {key} is incomplete: {exc}") from exc


def _commands(data: dict[str, t.Any], key: str, where: str) -> dict[str, tuple[str, ...]]:
    value = data.get(key, {})
    if not isinstance(value, dict) or not all(_is_strings(command) and command for command in value.values()):
        raise RecipeError(f"{where}: {key} is not a mapping of names to commands (lists of text)")
    return {name: tuple(command) for name, command in value.items()}


def _keys(data: object, where: str, known: tuple[str, ...]) -> dict[str, t.Any]:
    if not isinstance(data, dict):
        raise RecipeError(f"{where} is not a mapping")
    unknown = sorted(str(key) for key in data.keys() - set(known))
    if unknown:
        raise RecipeError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    return data


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(key, str) and isinstance(item, str) for key, item in value.items()
    )
