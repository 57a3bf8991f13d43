# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Which wheels of a bundle a node's Python needs. Pure: the node is described by a NodePython, the bundle by its file names."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

try:  # ansible-core depends on it, so every controller has it
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.tags import Tag, compatible_tags, cpython_tags
    from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
except ImportError:
    pass

__all__ = ("EnvironmentPlan", "NodePython", "find_pip", "parse_requirements", "plan_environment", "select_wheel")

_LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True)
class NodePython:
    """version: (3, 11, 2). machine: x86_64 or aarch64. glibc: (2, 36)."""

    version: tuple[int, int, int]
    machine: str
    glibc: tuple[int, int]

    @property
    def text(self) -> str:
        return f"Python {'.'.join(map(str, self.version))} on {self.machine} with glibc {self.glibc[0]}.{self.glibc[1]}"

    @property
    def markers(self) -> dict[str, str]:
        return {
            "implementation_name": "cpython",
            "implementation_version": ".".join(map(str, self.version)),
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": ".".join(map(str, self.version)),
            "python_version": ".".join(map(str, self.version[:2])),
            "sys_platform": "linux",
        }

    def tags(self) -> dict[Tag, int]:
        """Tags of wheels that fit, with their rank: the lower, the better."""
        platforms = []
        for minor in range(self.glibc[1], 4, -1):
            platforms.append(f"manylinux_{self.glibc[0]}_{minor}_{self.machine}")
            if minor in _LEGACY_MANYLINUX:
                platforms.append(f"{_LEGACY_MANYLINUX[minor]}_{self.machine}")
        platforms.append(f"linux_{self.machine}")
        version = self.version[:2]
        fitting = [*cpython_tags(version, platforms=platforms)]
        fitting += compatible_tags(version, f"cp{version[0]}{version[1]}", platforms)
        return {tag: rank for rank, tag in reversed(list(enumerate(fitting)))}


@dataclass(frozen=True)
class EnvironmentPlan:
    """`wanted`: version by name. `wheels`: file names to send. `removals`: names that do not belong there."""

    wanted: dict[str, str]
    before: dict[str, str]
    wheels: tuple[str, ...]
    removals: tuple[str, ...]
    rebuild: bool

    @property
    def changed(self) -> bool:
        return bool(self.rebuild or self.wheels or self.removals)

    @property
    def actions(self) -> list[str]:
        installs = [
            f"install {name} {version}"
            for name, version in sorted(self.wanted.items())
            if self.before.get(name) != version
        ]
        return [
            *(["make the environment"] if self.rebuild else []),
            *installs,
            *(f"remove {name}" for name in self.removals),
        ]

    @property
    def diff(self) -> dict[str, str]:
        return {
            "before_header": "packages",
            "after_header": "packages",
            "before": "".join(f"{name} {version}\n" for name, version in sorted(self.before.items())),
            "after": "".join(f"{name} {version}\n" for name, version in sorted(self.wanted.items())),
        }


def parse_requirements(text: str, node: NodePython) -> dict[str, str]:
    """Version by name of what applies to this node, from a file in which everything is pinned."""
    wanted: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        line = line.split(" #")[0].split("--hash")[0].strip()
        if not line or line.startswith(("#", "-")):
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement as exc:
            raise AirgapError(
                f"the bundle's wheels/requirements.txt has a line that is no requirement: {line!r}. Make the bundle again."
            ) from exc
        if requirement.marker and not requirement.marker.evaluate(node.markers):
            continue
        pins = [item.version for item in requirement.specifier if item.operator == "=="]
        if len(pins) != 1:
            raise AirgapError(
                f"the bundle's wheels/requirements.txt does not pin {requirement.name} to one version. Make the bundle again."
            )
        wanted[canonicalize_name(requirement.name)] = pins[0]
    return wanted


def _parse(filename: str) -> tuple[str, str, t.AbstractSet[Tag]] | None:
    try:
        name, version, _build, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return name, str(version), tags


def select_wheel(name: str, version: str, filenames: t.Iterable[str], node: NodePython) -> str:
    """The best wheel of a package for this node."""
    ranks = node.tags()
    offered = [
        (filename, parsed[2])
        for filename in filenames
        if (parsed := _parse(filename)) and parsed[:2] == (name, version)
    ]
    fitting = [
        (min(ranks[tag] for tag in tags if tag in ranks), filename)
        for filename, tags in offered
        if any(tag in ranks for tag in tags)
    ]
    if not fitting:
        has = (
            f"it has {', '.join(sorted(filename for filename, _tags in offered))}" if offered else "it has none at all"
        )
        raise AirgapError(
            f"the bundle has no wheel of {name} {version} for {node.text}: {has}. Make a bundle for this kind of node."
        )
    return min(fitting)[1]


def find_pip(filenames: t.Iterable[str]) -> str:
    found = [filename for filename in filenames if (parsed := _parse(filename)) and parsed[0] == "pip"]
    if not found:
        raise AirgapError("the bundle has no wheel of pip, which installs the others. Make the bundle again.")
    return max(found)


def plan_environment(
    *, wanted: dict[str, str], installed: dict[str, str], usable: bool, filenames: t.Sequence[str], node: NodePython
) -> EnvironmentPlan:
    """`usable`: whether the environment is there, whole, and made by this Python."""
    before = installed if usable else {}
    missing = {name: version for name, version in wanted.items() if before.get(name) != version}
    wheels = [select_wheel(name, version, filenames, node) for name, version in sorted(missing.items())]
    removals = sorted(set(before) - set(wanted))
    if wheels or removals:
        wheels.append(find_pip(filenames))
    return EnvironmentPlan(wanted, before, tuple(wheels), tuple(removals), not usable)
