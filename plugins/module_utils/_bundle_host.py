# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Run commands on the build host. I/O only."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError, CommandFailed

__all__ = ("Host", "host_arch")

_TAIL = 30
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def host_arch() -> str:
    """The architecture of this machine, in the words of container images."""
    machine = platform.machine()
    return _ARCH.get(machine, machine)


class Host:
    """Runs commands and keeps what they say in a log that can be watched while they run."""

    def __init__(self, log: str) -> None:
        self.log = log
        self._fresh = True

    def run(self, argv: t.Sequence[str], *, env: t.Mapping[str, str] | None = None, cwd: str | None = None) -> str:
        """Run a command and return its standard output, without the last newline."""
        with open(self.log, "wb" if self._fresh else "ab") as log:
            self._fresh = False
            log.write(f"+ {' '.join(argv)}\n".encode())
            log.flush()
            start = log.tell()
            try:
                # Standard output is the answer; a builder's talk goes to standard error and so to the log.
                result = subprocess.run(
                    list(argv),
                    env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    check=False,
                    # Whose umask it is must not show in wheels and layers.
                    umask=0o022,
                )
            except OSError as exc:
                raise AirgapError(f"{argv[0]} cannot be run on the build host: {exc.strerror}") from exc
            log.write(result.stdout)
        output = result.stdout.decode(errors="replace")
        if result.returncode:
            raise CommandFailed(argv, result.returncode, f"{self._tail(start)}\n(whole log: {self.log})")
        return output.rstrip("\n")

    def need(self, *commands: str) -> None:
        """Fail with one message that names every command this host lacks."""
        missing = [command for command in commands if not shutil.which(command)]
        if missing:
            raise AirgapError(
                f"the build host lacks {', '.join(missing)}: install the packages of these names (Debian: apt-get install {' '.join(missing)})"
            )

    def beside_python(self, command: str, way_out: str) -> str:
        """A tool of the virtual environment that Ansible runs in, else one from PATH."""
        own = os.path.join(os.path.dirname(sys.executable), command)
        found = own if os.access(own, os.X_OK) else shutil.which(command)
        if not found:
            raise AirgapError(f"the build host has no {command}: {way_out}")
        return found

    def _tail(self, start: int) -> str:
        with open(self.log, "rb") as stream:
            stream.seek(start)
            return "\n".join(stream.read().decode(errors="replace").splitlines()[-_TAIL:])
