"""SSH to the nodes: one client key, one host key a node, both made here, so that the first connection is verified too."""

from __future__ import annotations

import fcntl
import os
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.node.podman import run

__all__ = ("Ssh",)


class Ssh:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = directory / "id_ed25519"
        self.known_hosts = directory / "known_hosts"

    def client_key(self) -> Path:
        """The key that root on every node accepts."""
        with self._locked():
            return self._make(self.key, "airgap-nodes")

    def host_key(self, name: str) -> Path:
        with self._locked():
            return self._make(self.directory / f"host_{name}", name)

    def pin(self, address: str, host_key: Path) -> None:
        """known_hosts holds exactly this key for the address."""
        kind, key = host_key.with_suffix(".pub").read_text().split()[:2]
        with self._locked():
            lines = self._lines_without(address)
            self._write([*lines, f"{address} {kind} {key}"])

    def forget(self, name: str, address: str) -> None:
        with self._locked():
            self._write(self._lines_without(address))
            for file in (self.directory / f"host_{name}", self.directory / f"host_{name}.pub"):
                file.unlink(missing_ok=True)

    def command(self, address: str) -> list[str]:
        options = {
            "BatchMode": "yes", "ConnectTimeout": "3", "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.known_hosts), "IdentitiesOnly": "yes", "LogLevel": "ERROR",
        }  # fmt: skip
        return [
            "ssh",
            "-F",
            "none",
            "-i",
            str(self.key),
            *(f"-o{name}={value}" for name, value in options.items()),
            f"root@{address}",
        ]

    def _make(self, path: Path, comment: str) -> Path:
        if not path.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
        return path

    def _lines_without(self, address: str) -> list[str]:
        if not self.known_hosts.exists():
            return []
        return [line for line in self.known_hosts.read_text().splitlines() if line.split(" ")[0] != address]

    def _write(self, lines: list[str]) -> None:
        part = self.known_hosts.with_name("known_hosts.part")
        part.write_text("".join(f"{line}\n" for line in lines))
        part.rename(self.known_hosts)

    @contextmanager
    def _locked(self) -> Iterator[t.TextIO]:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(self.directory, 0o700)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
