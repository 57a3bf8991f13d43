# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Locks of Python packages and the wheels that serve them. Pure: no I/O."""

from __future__ import annotations

import re
import traceback
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

try:
    # ansible-core depends on it, so every controller has it.
    from packaging.markers import Marker
except ImportError:
    PACKAGING_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    PACKAGING_IMPORT_ERROR = None

__all__ = (
    "MACHINES",
    "LockError",
    "Locked",
    "Target",
    "above",
    "is_pure",
    "normal_name",
    "parse_lock",
    "render_lock",
    "select",
    "split_sdists",
    "wheel_name",
    "wheel_pin",
    "without",
)

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]*?))?\s*(?P<hashes>(?:--hash=sha256:[0-9a-f]{64}\s*)*)"
)
MACHINES = ("x86_64", "aarch64")
_BY_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}
# glibc 2.28 is what the oldest supported nodes have (RHEL 8); pip does not add older tags to a given platform by itself.
_GLIBC = range(28, 16, -1)
_OLD_TAGS = {
    "x86_64": ("manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1"),
    "aarch64": ("manylinux2014",),
}


class LockError(AirgapError):
    """A lock that cannot be used."""


@dataclass(frozen=True)
class Locked:
    """One pinned package."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def pin(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Target:
    """A Python that is not ours: version like 3.13, machine like x86_64."""

    python: str
    machine: str

    @classmethod
    def for_arch(cls, python: str, arch: str) -> Target:
        return cls(python, _BY_ARCH[arch])

    @property
    def pip_options(self) -> list[str]:
        tags = [f"manylinux_2_{minor}" for minor in _GLIBC] + list(_OLD_TAGS[self.machine])
        return [
            "--python-version",
            self.python,
            *(option for tag in tags for option in ("--platform", f"{tag}_{self.machine}")),
        ]

    @property
    def uv_options(self) -> list[str]:
        return ["--python-version", self.python, "--python-platform", f"{self.machine}-manylinux_2_28"]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def parse_lock(text: str, where: str) -> list[Locked]:
    """The packages of a lock as uv or pip-compile write it: pinned, each with its hashes."""
    lines = [
        line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    packages = []
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise LockError(f"{where}: expected NAME==VERSION with hashes, found {line.strip()[:80]!r}")
        hashes = tuple(re.findall(r"sha256:[0-9a-f]{64}", match["hashes"]))
        if not hashes:
            raise LockError(
                f"{where}: {match['name']}=={match['version']} has no hash: make the lock with --generate-hashes"
            )
        packages.append(
            Locked(name=match["name"], version=match["version"], marker=(match["marker"] or "").strip(), hashes=hashes)
        )
    return packages


def select(packages: t.Iterable[Locked], target: Target) -> list[Locked]:
    """The packages whose markers hold on the target. (pip evaluates markers for the Python that runs it, whatever --python-version says.)"""
    return [item for item in packages if not item.marker or Marker(item.marker).evaluate(dict(target.environment))]


def render_lock(packages: t.Iterable[Locked]) -> str:
    """A requirements file of these packages without markers."""
    return "".join(f"{item.pin} {' '.join(f'--hash={value}' for value in item.hashes)}\n" for item in packages)


def split_sdists(
    packages: t.Iterable[Locked], sdists: t.Iterable[str], where: str
) -> tuple[list[Locked], list[Locked]]:
    """Packages with wheels, and those named in sdists."""
    everything = list(packages)
    names = {normal_name(name) for name in sdists}
    unknown = names - {normal_name(item.name) for item in everything}
    if unknown:
        raise LockError(f"{where} does not pin {', '.join(sorted(unknown))}, which the recipe builds from source")
    return [item for item in everything if normal_name(item.name) not in names], [
        item for item in everything if normal_name(item.name) in names
    ]


def without(packages: t.Iterable[Locked], known: t.Iterable[Locked]) -> list[Locked]:
    """The packages that known does not hold."""
    names = {normal_name(item.name) for item in known}
    return [item for item in packages if normal_name(item.name) not in names]


def above(packages: t.Iterable[Locked], below: t.Iterable[Locked], where: str) -> list[Locked]:
    """The packages that an image adds to those of its base. One environment holds one version of each."""
    known = {normal_name(item.name): item.version for item in below}
    everything = list(packages)
    torn = [item for item in everything if known.get(normal_name(item.name), item.version) != item.version]
    if torn:
        first = torn[0]
        raise LockError(
            f"{where} pins {first.pin}, but the image's base holds {first.name}=={known[normal_name(first.name)]}: "
            "make the lock again under the constraints of the base"
        )
    return [item for item in everything if normal_name(item.name) not in known]


def wheel_name(filename: str) -> str:
    """The package that a wheel holds, normalised."""
    return normal_name(filename.partition("-")[0])


def wheel_pin(filename: str) -> str:
    """The requirement that exactly this wheel fulfils."""
    name, version = filename.split("-")[:2]
    return f"{normal_name(name)}=={version}"


def is_pure(filename: str) -> bool:
    """Whether a wheel serves every Python on every machine."""
    return filename.endswith("-none-any.whl")


def normal_name(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
