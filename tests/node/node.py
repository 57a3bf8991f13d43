"""One edge node: a systemd container on the sealed network, reached over SSH like any host."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tests.node.egress import Egress, EgressRecord
from tests.node.host import raise_limits
from tests.node.image import ensure_image
from tests.node.network import NETWORK, ensure_network, network_lock, remove_network
from tests.node.podman import NodeError, inspect, podman
from tests.node.ssh import Ssh

__all__ = ("ADDRESSES", "ROOT", "Node", "is_abandoned", "list_nodes")

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = {"demo": "10.210.77.10", "edge1": "10.210.77.20", "edge2": "10.210.77.21", "edge3": "10.210.77.22"}
_LABEL = "airgap.mlops.checkout"
_ADDRESS = "airgap.mlops.address"
_BOOT_SECONDS = 60
# podman lays the host's own systemd hierarchy over the node's part of it. Then all nodes share one tree, and one that stops
# its k3s.service takes the cgroup of that name from under the others: uncover the node's part before systemd looks.
_INIT = "cd /; umount /sys/fs/cgroup/systemd/release_agent /sys/fs/cgroup/systemd; exec /sbin/init"


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Node:
    name: str
    address: str

    @classmethod
    def named(cls, name: str, address: str | None = None) -> Node:
        """A node by name. Those of ADDRESSES have an address, one that was made has it, another needs one."""
        made = inspect(f"airgap-{name}")
        known = (made["Config"]["Labels"].get(_ADDRESS) if made else None) or ADDRESSES.get(name)
        if known is None and address is None:
            raise NodeError(f"node {name} needs --address (only {', '.join(ADDRESSES)} have one already)")
        if made and known and address not in (None, known):
            raise NodeError(f"node {name} has the address {known}; remove it before it gets {address}")
        return cls(name, address or known or "")

    @property
    def container(self) -> str:
        return f"airgap-{self.name}"

    @property
    def volume(self) -> str:
        return f"airgap-{self.name}-rancher"

    @property
    def ssh(self) -> Ssh:
        return Ssh(ROOT / "build/ssh")

    @property
    def record(self) -> EgressRecord:
        return EgressRecord(self.name, ROOT / "build/node" / self.name)

    # -- states ---------------------------------------------------------------------------------------------

    def up(self) -> bool:
        """Make the node, or start the one that is there. True if anything had to be done."""
        state = self._state()
        if state == "running":
            return False
        raise_limits()
        if state is None:
            ensure_image(_progress)  # minutes the first time: nobody waits for the lock meanwhile
        with network_lock():
            ensure_network()
            if state is None:
                self._create()
        self._boot()
        return True

    def down(self) -> bool:
        """Remove the node and its data."""
        there = self._state() is not None
        self._remove()
        self.ssh.forget(self.name, self.address)
        self.record.forget()
        remove_network()
        return there

    def restart(self) -> None:
        """An orderly reboot: services are stopped, data stays."""
        self._require_running()
        podman("stop", "--time=30", self.container)
        self.record.end_boot()
        self._boot()

    def kill(self) -> None:
        """A power cut: every process ends at once. `up` switches the node on again."""
        self._require_running()
        podman("kill", "--signal=KILL", self.container)
        podman("wait", self.container)
        self.record.end_boot()

    # -- use ------------------------------------------------------------------------------------------------

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the node over SSH."""
        full = [*self.ssh.command(self.address), shlex.join(command)]
        return subprocess.run(full, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def egress(self) -> Egress:
        return self.record.read(self.netns())

    def netns(self) -> str:
        """Path of the node's network namespace."""
        return str(self._require_running()["NetworkSettings"]["SandboxKey"])

    # -- inside ---------------------------------------------------------------------------------------------

    def _state(self) -> str | None:
        found = inspect(self.container)
        if found is None:
            return None
        owner, state = str(found["Config"]["Labels"].get(_LABEL)), str(found["State"]["Status"])
        if owner == str(ROOT):
            return state
        if not is_abandoned(self.name, state, owner_exists=Path(owner).is_dir()):
            raise NodeError(
                f"node {self.name} ({self.container}) belongs to {owner}; remove it there first: make demo-down"
            )
        _progress(f"node         {self.name} was left behind by {owner}: removing it")
        self._remove()
        return None

    def _remove(self) -> None:
        podman("rm", "--force", "--time=3", "--volumes", self.container, check=False)
        podman("volume", "rm", "--force", self.volume)

    def _require_running(self) -> dict[str, t.Any]:
        found = inspect(self.container)
        if self._state() != "running" or found is None:
            raise NodeError(f"node {self.name} is not running; start it: python -m tests.node up {self.name}")
        return found

    def _create(self) -> None:
        image = ensure_image(_progress)
        self.record.begin()
        podman(
            "create", f"--name={self.container}", f"--hostname={self.name}", f"--label={_LABEL}={ROOT}",
            f"--label={_ADDRESS}={self.address}",
            f"--network={NETWORK}", f"--ip={self.address}", "--dns=none", "--no-hosts",
            "--privileged", "--systemd=always",
            "--cgroupns=private",  # else no container starts inside: stat /sys/fs/kubepods fails
            "--ulimit=nofile=20000:20000", "--ulimit=nproc=30000:30000",  # k3s' unit asks for more than may be had here
            f"--volume={self.volume}:/var/lib/rancher",  # no overlay on overlay
            image, "/bin/sh", "-c", _INIT,
        )  # fmt: skip
        self._install_identity()

    def _install_identity(self) -> None:
        """Host key, the key that may log in, and /etc/hosts as Debian's installer writes it."""
        host_key = self.ssh.host_key(self.name)
        files = {
            "etc/hosts": (f"127.0.0.1\tlocalhost\n127.0.1.1\t{self.name}\n", 0o644),
            "etc/ssh/ssh_host_ed25519_key": (host_key.read_text(), 0o600),
            "etc/ssh/ssh_host_ed25519_key.pub": (host_key.with_suffix(".pub").read_text(), 0o644),
            "root/.ssh/authorized_keys": (self.ssh.client_key().with_suffix(".pub").read_text(), 0o600),
        }
        with tempfile.TemporaryFile() as archive:
            with tarfile.open(fileobj=archive, mode="w") as tar:
                for name, (content, mode) in files.items():
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode = len(content.encode()), mode  # owner is root
                    tar.addfile(entry, io.BytesIO(content.encode()))
            archive.seek(0)
            podman("cp", "-", f"{self.container}:/", stdin_file=archive)
        self.ssh.pin(self.address, host_key)

    def _boot(self) -> None:
        """Network namespace, then counters and recorder, then the node's first process: nothing leaves uncounted."""
        if self._state() != "initialized":  # a start that was cut off left it so
            podman("init", self.container)
        found = inspect(self.container) or {}
        self.record.start_boot(found["NetworkSettings"]["SandboxKey"], found["State"]["Pid"])
        podman("start", self.container)
        deadline = time.monotonic() + _BOOT_SECONDS
        while (answer := self.execute("systemctl", "is-system-running", "--wait")).stdout.strip() not in (
            "running",
            "degraded",
        ):
            if time.monotonic() > deadline:
                raise NodeError(
                    f"node {self.name} did not boot within {_BOOT_SECONDS} s: {answer.stderr.strip() or answer.stdout.strip()}"
                )
            time.sleep(0.3)


def is_abandoned(name: str, state: str, *, owner_exists: bool) -> bool:
    """Whether another checkout's node may go: its checkout is gone, or it is a test's node that no run is using."""
    return not owner_exists or (name.startswith("edge") and state != "running")


def list_nodes() -> list[dict[str, str]]:
    """Every node on this machine: name, address, state, checkout."""
    names = podman("ps", "--all", "--filter", f"label={_LABEL}", "--format", "{{.Names}}").stdout.split()
    nodes = []
    for name in sorted(names):
        found = inspect(name)
        if found is None:  # went away in between
            continue
        labels = found["Config"]["Labels"]
        nodes.append(
            {
                "name": name.removeprefix("airgap-"),
                "address": labels.get(_ADDRESS, ""),
                "state": found["State"]["Status"],
                "checkout": labels[_LABEL],
            }
        )
    return nodes
