# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Fetch wheels with pip and uv for Pythons that are not this one. I/O only; what to fetch is decided in _bundle_wheels."""

from __future__ import annotations

import os
import sys
import zipfile

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import write_atomic
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_wheels import (
    Locked,
    Target,
    is_pure,
    normal_name,
    parse_lock,
    render_lock,
    wheel_name,
    without,
)
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError, CommandFailed

__all__ = ("Wheelhouse",)

# Folders of wheels that this user set up for pip would otherwise be looked at first.
_PIP_ENV = {"PIP_FIND_LINKS": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


class Wheelhouse:
    """A directory of wheels."""

    def __init__(self, host: Host, path: str) -> None:
        self.host = host
        self.path = path
        os.makedirs(path, exist_ok=True)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.path))

    def fetch(self, packages: list[Locked], target: Target) -> None:
        """Wheels of these packages for one target; pip checks the hashes."""
        if packages:
            self._pip(
                "download",
                "--only-binary",
                ":all:",
                *target.pip_options,
                lock=render_lock(packages),
                dest=["--dest", self.path],
            )

    def fetch_for_all(self, packages: dict[Target, list[Locked]]) -> None:
        """Wheels for several targets. What came as a pure wheel for one serves them all and is not asked for again."""
        for target, wanted in packages.items():
            pure = {wheel_name(name) for name in self.names() if is_pure(name)}
            self.fetch([item for item in wanted if normal_name(item.name) not in pure], target)

    def prefer_pure(self, packages: list[Locked]) -> None:
        """Replace wheels with compiled parts by one that serves all, where the package has such a one."""
        present = {wheel_name(name) for name in self.names() if is_pure(name)}
        for item in packages:
            if normal_name(item.name) in present:
                continue
            try:
                tags = ["--implementation", "py", "--abi", "none", "--platform", "any"]
                self._pip(
                    "download", "--only-binary", ":all:", *tags, lock=render_lock([item]), dest=["--dest", self.path]
                )
            except CommandFailed:
                # It has none.
                continue
            for name in self.names():
                if wheel_name(name) == normal_name(item.name) and not is_pure(name):
                    os.unlink(os.path.join(self.path, name))

    def build(self, packages: list[Locked], tools: list[Locked], timestamp: int) -> None:
        """Wheels from source, for packages that publish none. Only pure Python: compiled code would be of this host."""
        if not packages:
            return
        before = set(self.names())
        env = self._build_env(tools, timestamp)
        self._pip("wheel", "--no-binary", ":all:", lock=render_lock(packages), dest=["--wheel-dir", self.path], env=env)
        compiled = sorted(name for name in set(self.names()) - before if not is_pure(name))
        if compiled:
            raise AirgapError(
                f"{', '.join(compiled)} has compiled parts, which would fit this host only: only pure Python can be built from source"
            )

    def build_project(self, source: str, tools: list[Locked], timestamp: int) -> None:
        """The wheel of a Python project in a folder, which this may write to."""
        argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", self.path, source]
        before = set(self.names())
        self.host.run(argv, env={**_PIP_ENV, **self._build_env(tools, timestamp)})
        made = sorted(set(self.names()) - before)
        if len(made) != 1 or not is_pure(made[0]):
            raise AirgapError(
                f"{os.path.basename(source)} gave {', '.join(made) or 'no wheel'}, expected one wheel of pure Python "
                "with a name that no other project has"
            )

    def _build_env(self, tools: list[Locked], timestamp: int) -> dict[str, str]:
        constraints = os.path.join(os.path.dirname(self.path), "build-constraints.txt")
        with open(constraints, "w", encoding="utf-8") as stream:
            stream.writelines(f"{item.pin}\n" for item in tools)
        return {"SOURCE_DATE_EPOCH": str(timestamp), "PIP_CONSTRAINT": constraints, "PIP_BUILD_CONSTRAINT": constraints}

    def fetch_extra(self, requirements: list[str], base: list[Locked], target: Target, uv: str) -> None:
        """Wheels of further requirements and what they need, solved beside the packages of base, which keep their versions."""
        folder = os.path.dirname(self.path)
        for name, lines in (("extra.in", requirements), ("extra-constraints.txt", [item.pin for item in base])):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
                stream.writelines(f"{line}\n" for line in lines)
        options = [
            "--quiet",
            "--no-annotate",
            "--no-header",
            "--generate-hashes",
            "--only-binary",
            ":all:",
            *target.uv_options,
        ]
        solved = self.host.run(
            [
                uv,
                "pip",
                "compile",
                *options,
                "--constraint",
                os.path.join(folder, "extra-constraints.txt"),
                os.path.join(folder, "extra.in"),
            ],
            env=self._index(),
        )
        self.fetch(without(parse_lock(solved, "the solution of the extra packages"), base), target)

    def unpack_tool(self, packages: list[Locked], name: str, target: str) -> None:
        """Take one executable out of its wheel."""
        wheels = [item for item in packages if normal_name(item.name) == name]
        if not wheels:
            raise AirgapError(f"the lock of build tools does not pin {name}")
        folder = os.path.join(os.path.dirname(self.path), "tools")
        self._pip("download", "--only-binary", ":all:", lock=render_lock(wheels), dest=["--dest", folder])
        for wheel in os.listdir(folder):
            with zipfile.ZipFile(os.path.join(folder, wheel)) as archive:
                inside = [item for item in archive.namelist() if item.endswith(f".data/scripts/{name}")]
                if inside:
                    write_atomic(target, archive.read(inside[0]), 0o755)
                    return
        raise AirgapError(f"the wheel of {name} holds no executable of this name")

    def _pip(self, verb: str, *options: str, lock: str, dest: list[str], env: dict[str, str] | None = None) -> None:
        name = os.path.join(os.path.dirname(self.path), "lock.txt")
        with open(name, "w", encoding="utf-8") as stream:
            stream.write(lock)
        argv = [
            sys.executable,
            "-m",
            "pip",
            verb,
            "--quiet",
            "--no-deps",
            "--require-hashes",
            *options,
            "--requirement",
            name,
            *dest,
        ]
        self.host.run(argv, env={**_PIP_ENV, **(env or {})})

    def _index(self) -> dict[str, str]:
        """uv does not read pip's configuration: tell it of the index that this host uses."""
        if "UV_DEFAULT_INDEX" in os.environ:
            return {}
        try:
            index = self.host.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], env=_PIP_ENV)
        except CommandFailed:
            index = ""
        index = os.environ.get("PIP_INDEX_URL") or index
        return {"UV_DEFAULT_INDEX": index} if index else {}
