"""What this machine must allow for several nodes to run on it: they share its limits on file watches."""

from __future__ import annotations

from pathlib import Path

from tests.node.podman import NodeError

__all__ = ("raise_limits",)

# A node with k3s and its pods takes about 60 instances, and Debian allows 128 for all of root's processes together:
# the third node's kubelet and containerd then fail with `too many open files`.
_LIMITS = {"fs/inotify/max_user_instances": 4096, "fs/inotify/max_user_watches": 524288}


def raise_limits() -> None:
    """Raise what is lower; until the next boot of this machine."""
    for name, wanted in _LIMITS.items():
        file = Path("/proc/sys", name)
        if int(file.read_text()) >= wanted:
            continue
        try:
            file.write_text(str(wanted))
        except OSError as exc:
            raise NodeError(f"{name.replace('/', '.')} must be {wanted} or more, and cannot be set: {exc}") from exc
