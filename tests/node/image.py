"""The node's image: Debian bookworm with systemd and sshd, made once and cached by what it is made of.

bookworm and not trixie: newer systemd refuses hosts with cgroup v1.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.node.podman import NodeError, podman, run
from tests.setup.cache import CACHE
from tests.setup.packages import parse_list

__all__ = ("ensure_image",)

_SUITE = "bookworm"
_HERE = Path(__file__).parent
_PACKAGES = _HERE / "debian-packages.txt"
_CUSTOMIZE = _HERE / "customize.sh"


def _key() -> str:
    digest = hashlib.sha256(_SUITE.encode())
    for file in (_PACKAGES, _CUSTOMIZE):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _cache(key: str) -> Path:
    return CACHE / "node" / key


def ensure_image(progress: Callable[[str], None]) -> str:
    """The reference of the node's image in podman's storage."""
    key = _key()
    reference = f"localhost/airgap-node:{key[:12]}"
    cache = _cache(key)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:  # two runs at once make it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if podman("image", "exists", reference, check=False).returncode == 0:
            return reference
        archive = cache / "rootfs.tar.zst"
        if not archive.exists():
            progress(f"building the node's root file system ({_SUITE}), 1-3 minutes the first time")
            _build(archive)
        progress("importing the node's image into podman")
        _import(archive, reference)
    return reference


def _build(archive: Path) -> None:
    part = archive.with_name("part.tar.zst")
    include = ",".join(parse_list(_PACKAGES.read_text()))
    run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={include}",
        f"--customize-hook={_CUSTOMIZE}",
        _SUITE,
        str(part),
    )
    part.rename(archive)


def _import(archive: Path, reference: str) -> None:
    plain = archive.with_name("rootfs.tar")
    try:
        with plain.open("wb") as out:
            done = subprocess.run(["zstd", "-dc", str(archive)], stdout=out, check=False)
        if done.returncode != 0:
            archive.unlink()
            raise NodeError(f"{archive} is damaged and was removed; run again to build it anew")
        podman(
            "import",
            "--quiet",
            "--change",
            'CMD ["/sbin/init"]',
            "--change",
            "STOPSIGNAL SIGRTMIN+3",
            str(plain),
            reference,
        )
    finally:
        plain.unlink(missing_ok=True)
