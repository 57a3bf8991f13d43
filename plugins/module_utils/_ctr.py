# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""containerd of a node, by way of `k3s ctr`. The I/O twin of _images.py."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError, CommandFailed
from ansible_collections.airgap.mlops.plugins.module_utils._images import ImageRecord

__all__ = ("NAMESPACE", "Ctr", "parse_container_images", "parse_images")

# The namespace of the kubelet's images. `k3s ctr` defaults to it; a distribution's ctr does not.
NAMESPACE = "k8s.io"
# REF TYPE DIGEST SIZE PLATFORMS LABELS. A size has a space in it, and so may a label's value: the labels run to the end.
_ROW = re.compile(r"^(\S+)\s+(\S+)\s+(sha256:[0-9a-f]{64})\s+([\d.]+ ?\S*)\s+(\S+)\s+(.*?)\s*$")

RunCommand = t.Callable[..., tuple[int, str, str]]


def _labels(text: str) -> dict[str, str]:
    # Values may hold commas; a part without '=' therefore belongs to the value before it.
    labels: dict[str, str] = {}
    key = ""
    for part in [] if text == "-" else text.split(","):
        name, equals, value = part.partition("=")
        if equals:
            key = name
            labels[key] = value
        elif key:
            labels[key] += f",{part}"
    return labels


def parse_images(listing: str, ready: t.Container[str] | None = None) -> list[ImageRecord]:
    """Read `ctr images ls`. `ready` holds the names that `ctr images check -q` printed; None means: not asked."""
    records = []
    for line in listing.splitlines():
        match = _ROW.match(line)
        if match:
            name, _type, digest, _size, _platforms, labels = match.groups()
            records.append(ImageRecord(name, digest, _labels(labels), ready is None or name in ready))
    return records


def parse_container_images(listing: str) -> set[str]:
    """Read `ctr containers ls`: CONTAINER IMAGE RUNTIME."""
    rows = (line.split() for line in listing.splitlines()[1:])
    return {row[1] for row in rows if len(row) >= 2}


class Ctr:
    """Runs `k3s ctr`. Takes the function that runs commands, not the module."""

    def __init__(self, run_command: RunCommand, k3s: str) -> None:
        self._run_command = run_command
        self._argv = [k3s, "ctr", "-n", NAMESPACE]

    def _run(self, *args: str, check: bool = True) -> str:
        argv = [*self._argv, *args]
        try:
            rc, stdout, stderr = self._run_command(argv, environ_update={"LC_ALL": "C"}, handle_exceptions=False)
        except OSError as exc:
            raise AirgapError(
                f"{argv[0]} cannot be run on this node: {exc.strerror}. Install k3s first (role airgap.mlops.k3s), or set `k3s` to its path.",
            ) from exc
        if check and rc != 0:
            raise CommandFailed(argv, rc, stderr or stdout)
        return str(stdout)

    def list_images(self) -> list[ImageRecord]:
        """All image records. Those whose content or unpacked layers are not whole are not `ready`."""
        listing = self._run("images", "ls")
        # A broken image makes `check` exit 1; the names of the whole ones are printed all the same.
        ready = set(self._run("images", "check", "-q", check=False).split())
        return parse_images(listing, ready)

    def list_blobs(self) -> list[str]:
        """Digests of the blobs that are wholly in the content store."""
        return sorted(line for line in self._run("content", "ls", "-q").split() if line.startswith("sha256:"))

    def digests_in_use(self, records: t.Iterable[ImageRecord]) -> set[str]:
        """Digests of the images that containers were made from."""
        by_name = {record.name: record.digest for record in records}
        names = parse_container_images(self._run("containers", "ls"))
        return {by_name[name] for name in names if name in by_name}

    def label(self, name: str, labels: t.Mapping[str, str]) -> None:
        self._run("images", "label", name, *(f"{key}={value}" for key, value in sorted(labels.items())))

    def remove(self, names: t.Sequence[str]) -> None:
        """Remove records. --sync: their content is off the disk when this returns."""
        if names:
            self._run("images", "rm", "--sync", *names)
