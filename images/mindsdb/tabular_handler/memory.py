"""How much memory the container may still take, by its cgroup (of either version)."""

from __future__ import annotations

from pathlib import Path

__all__ = ("memory_left",)

CGROUP = Path("/sys/fs/cgroup")
# Without a limit the first version has the largest number of pages for one.
UNLIMITED = 2**60
# Folder, limit, use, and how memory.stat calls the pages of files, which the kernel gives up for whoever needs the room.
VERSIONS = (
    ("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)


def memory_left(cgroup: Path | None = None) -> int | None:
    """In bytes; None where there is no limit."""
    for folder, limit, use, files in VERSIONS:
        place = (cgroup or CGROUP) / folder
        try:
            bound = (place / limit).read_text().strip()
            used = int((place / use).read_text())
            stat = dict(line.split() for line in (place / "memory.stat").read_text().splitlines())
        except OSError:
            continue
        if bound == "max" or int(bound) >= UNLIMITED:
            return None
        return int(bound) - used + sum(int(stat.get(name, 0)) for name in files)
    return None
