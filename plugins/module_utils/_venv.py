# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""A Python environment on the node: what is in it, and how pip changes it. I/O."""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import sys
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError, CommandFailed
from ansible_collections.airgap.mlops.plugins.module_utils._files_store import file_sha256

__all__ = ("Venv", "describe_python")

RunCommand = t.Callable[..., tuple[int, str, str]]


def describe_python() -> dict[str, t.Any]:
    """The Python that runs this module, which is the one that environments are made from."""
    libc = (
        re.match(r"glibc (\d+)\.(\d+)", os.confstr("CS_GNU_LIBC_VERSION") or "")
        if "CS_GNU_LIBC_VERSION" in os.confstr_names
        else None
    )
    return {
        "version": list(sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "machine": platform.machine(),
        "glibc": [int(libc.group(1)), int(libc.group(2))] if libc else None,
        # Inside an environment: the Python that it was made from.
        "executable": getattr(sys, "_base_executable", "") or sys.executable,
    }


def _metadata(path: str) -> tuple[str, str] | None:
    """Name and version in a .dist-info. pip writes RECORD last: without it the installation was cut off."""
    if not os.path.exists(os.path.join(path, "RECORD")):
        return None
    try:
        with open(os.path.join(path, "METADATA"), encoding="utf-8", errors="replace") as file:
            head = file.read().split("\n\n", 1)[0]
    except OSError:
        return None
    name = re.search(r"^Name: (\S+)", head, re.MULTILINE)
    version = re.search(r"^Version: (\S+)", head, re.MULTILINE)
    return (re.sub(r"[-_.]+", "-", name.group(1)).lower(), version.group(1)) if name and version else None


class Venv:
    def __init__(self, run_command: RunCommand, prefix: str) -> None:
        self._run_command = run_command
        self.prefix = prefix
        self.python = os.path.join(prefix, "bin", "python")
        self._site = os.path.join(prefix, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")

    def _run(self, *argv: str) -> str:
        rc, stdout, stderr = self._run_command(
            list(argv), environ_update={"LC_ALL": "C.UTF-8", "PIP_CONFIG_FILE": os.devnull}
        )
        if rc != 0:
            raise CommandFailed(argv, rc, stderr or stdout)
        return str(stdout)

    def usable(self) -> bool:
        """Whether it is there, runs, was made by this Python, and holds nothing that pip left half-way."""
        if not os.path.isdir(self._site) or glob.glob(os.path.join(self._site, "~*")):
            return False
        partial = [path for path in glob.glob(os.path.join(self._site, "*.dist-info")) if _metadata(path) is None]
        if partial or not os.access(self.python, os.X_OK):
            return False
        rc, stdout, _stderr = self._run_command(
            [self.python, "-c", "import sys; print(sys.version_info[:2], sys.prefix)"]
        )
        return rc == 0 and str(stdout).strip() == f"{sys.version_info[:2]} {self.prefix}"

    def installed(self) -> dict[str, str]:
        found = (_metadata(path) for path in glob.glob(os.path.join(self._site, "*.dist-info")))
        return dict(item for item in found if item)

    def make(self, executable: str) -> None:
        """Without pip: a minimal Debian has no ensurepip, and pip's wheel runs as it is."""
        self._run(executable, "-m", "venv", "--clear", "--without-pip", self.prefix)

    def install(self, pip: str, wheels: t.Sequence[str]) -> None:
        if wheels:
            self._pip(
                pip, "install", "--no-index", "--no-deps", "--force-reinstall", "--no-warn-script-location", *wheels
            )

    def remove(self, pip: str, names: t.Sequence[str]) -> None:
        if names:
            self._pip(pip, "uninstall", "--yes", *names)

    def _pip(self, pip: str, command: str, *args: str) -> None:
        self._run(
            self.python,
            os.path.join(pip, "pip"),
            command,
            "--disable-pip-version-check",
            "--no-input",
            "--no-cache-dir" if command == "install" else "-q",
            *args,
        )

    @staticmethod
    def check_wheels(directory: str, sums: t.Mapping[str, str]) -> None:
        damaged = [name for name, sha256 in sums.items() if file_sha256(os.path.join(directory, name)) != sha256]
        if damaged:
            shutil.rmtree(directory, ignore_errors=True)
            raise AirgapError(
                f"{', '.join(sorted(damaged))} arrived damaged. Run this again; if it stays so, verify the bundle."
            )
