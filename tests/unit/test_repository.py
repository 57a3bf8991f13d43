"""What must stay in step and no tool compares: modules, their groups and fragments; roles, their defaults and their specs."""

from __future__ import annotations

import ast
import fnmatch
import importlib
import pathlib
import re
import typing as t

import pytest
import yaml

from tests.run.process import tracked_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir()) if (ROOT / "roles").is_dir() else []


def load(path: pathlib.Path) -> t.Any:
    return yaml.safe_load(path.read_text())


def constants(path: pathlib.Path) -> dict[str, t.Any]:
    """DOCUMENTATION, EXAMPLES and RETURN of a module, without importing it."""
    found: dict[str, t.Any] = {}
    for node in ast.parse(path.read_text()).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        ):
            found[node.targets[0].id] = node.value.value
    return found


def documentation(path: pathlib.Path) -> dict[str, t.Any]:
    docs: dict[str, t.Any] = yaml.safe_load(constants(path)["DOCUMENTATION"])
    return docs


def groups_by_fragment(path: pathlib.Path) -> set[str]:
    """The action groups that a module's documentation claims, by the fragments it extends."""
    prefix = "airgap.mlops._attributes.actiongroup_"
    fragments = documentation(path).get("extends_documentation_fragment", [])
    return {name.removeprefix(prefix) for name in fragments if name.startswith(prefix)}


def action_groups() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = load(ROOT / "meta/runtime.yml")["action_groups"]
    return groups


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_is_in_the_groups_that_its_docs_claim(module: pathlib.Path) -> None:
    listed = {group for group, members in action_groups().items() if module.stem in members}
    assert groups_by_fragment(module) == listed


def test_groups_name_modules_that_exist_in_order() -> None:
    names = {path.stem for path in MODULES}
    for group, members in action_groups().items():
        assert set(members) <= names, group
        assert members == sorted(members), group


def test_each_group_has_its_attribute_fragment() -> None:
    tree = ast.parse((ROOT / "plugins/doc_fragments/_attributes.py").read_text())
    fragments = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    names = {
        target.id
        for node in fragments.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    claimed = {name.removeprefix("ACTIONGROUP_").lower() for name in names if name.startswith("ACTIONGROUP_")}
    assert claimed == set(action_groups())


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_says_what_check_mode_and_a_rerun_do(module: pathlib.Path) -> None:
    found = constants(module)
    assert {"DOCUMENTATION", "EXAMPLES", "RETURN"} <= set(found)
    docs = documentation(module)
    attributes = set(docs.get("attributes", {}))
    if "airgap.mlops._attributes.info_module" in docs["extends_documentation_fragment"]:
        attributes |= {"check_mode", "diff_mode", "idempotent"}
    assert {"check_mode", "diff_mode", "idempotent"} <= attributes
    assert docs["version_added"]


def holds_secrets(options: dict[str, t.Any], *, inside: bool = False) -> bool:
    """Whether a secret stands inside a list or a mapping."""
    return any(
        (inside and option.get("no_log") is True) or holds_secrets(option.get("options", {}), inside=True)
        for option in options.values()
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_lists_of_secrets_are_kept_out_of_the_journal(module: pathlib.Path) -> None:
    loaded = importlib.import_module(f"ansible_collections.airgap.mlops.plugins.modules.{module.stem}")
    if holds_secrets(getattr(loaded, "ARGUMENT_SPEC", {})):  # those of the controller have none
        assert hasattr(loaded, "ReticentModule")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_examples_are_yaml_and_use_the_module_by_its_full_name(module: pathlib.Path) -> None:
    tasks = yaml.safe_load(constants(module)["EXAMPLES"])
    assert any(f"airgap.mlops.{module.stem}" in str(task) for task in tasks)


def spec_defaults(options: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: option.get("default") for name, option in options.items() if not option.get("required")}


def entry_points(role: pathlib.Path) -> dict[str, t.Any]:
    specs: dict[str, t.Any] = load(role / "meta/argument_specs.yml")["argument_specs"]
    return specs


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_defaults_and_specs_of_a_role_are_the_same(role: pathlib.Path) -> None:
    """Keys and values, over all entry points. What is required stands in no defaults; what has none is `null` in neither."""
    file = role / "defaults/main.yml"
    defaults = (load(file) if file.exists() else None) or {}
    options: dict[str, t.Any] = {}
    for spec in entry_points(role).values():
        options |= spec.get("options", {})
    specified = spec_defaults(options)
    with_default = {name: value for name, value in specified.items() if value is not None}
    assert {name: value for name, value in defaults.items() if value is not None} == with_default
    assert set(defaults) <= set(specified), "documented in argument_specs"


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_a_role_is_complete(role: pathlib.Path) -> None:
    for file in ("README.md", "tasks/main.yml", "meta/main.yml", "meta/argument_specs.yml"):
        assert (role / file).is_file(), file
    for name, spec in entry_points(role).items():
        assert spec.get("description"), f"{name}: antsibull-docs wants a description"
        for option in spec.get("options", {}):
            assert option.startswith(f"{role.name}_"), option


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_secrets_of_a_role_have_no_default(role: pathlib.Path) -> None:
    for spec in entry_points(role).values():
        for name, option in spec.get("options", {}).items():
            if option.get("no_log"):
                assert "default" not in option, name


def test_every_room_is_on_the_map() -> None:
    rooms = re.findall(r"`([^`]+)`", (ROOT / "docs/README.md").read_text().partition("## Rooms")[2])
    parts = [path.parts for path in tracked_files() if len(path.parts) > 1 and path.parts[0][0] != "."]
    inner = {"/".join(names[:2]) for names in parts if names[0] in ("plugins", "tests") and len(names) > 2}
    places = inner | {names[0] for names in parts} - {"plugins", "tests"}
    places |= {path.stem for path in (ROOT / "plugins/module_utils").glob("_*.py")}
    assert [place for place in sorted(places) if not any(fnmatch.fnmatch(place, room) for room in rooms)] == []


@pytest.mark.parametrize("path", tracked_files("*requirements*.txt", "tests/constraints.txt"), ids=str)
def test_requirements_are_pinned(path: pathlib.Path) -> None:
    lines = [line.strip() for line in (ROOT / path).read_text().splitlines()]
    loose = [line for line in lines if line and not re.match(r"#|--hash=|[A-Za-z0-9._-]+(\[[\w,-]+\])?==\S", line)]
    assert loose == []


def test_pages_pin_what_is_tested() -> None:
    pins = (ROOT / "requirements.txt").read_text() + (ROOT / "tests/requirements.txt").read_text()
    tested = dict(re.findall(r"^([\w-]+)==(\S+)$", pins, re.MULTILINE))
    for page in tracked_files("*.md"):
        shown = re.findall(r"([\w-]+)==(\d[\d.]*\d)", (ROOT / page).read_text())
        assert [(name, version) for name, version in shown if tested.get(name, version) != version] == [], page


def test_nothing_tells_where_it_was_written() -> None:
    """No absolute path of the machine that this was written on."""
    home, work = "/" + "root/.", "/" + "work/"
    files = tracked_files("*.py", "*.yml", "*.md", "*.j2", "*.toml", "*.ini", "*.sh", "Makefile", "*Containerfile")
    guilty = [str(path) for path in files if any(word in (ROOT / path).read_text() for word in (home, work))]
    assert guilty == []
