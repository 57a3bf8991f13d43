"""Run in MindsDB's pod: its container's limit, the most that it took of it, and how often the kernel ended something in it, as JSON.

By the cgroup, of either version. A container that was started again has a new one, which knows nothing of the last.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
VERSIONS = (
    (CGROUP, "memory.max", "memory.peak", "memory.events"),
    (CGROUP / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"),
)

for folder, limit, peak, events in VERSIONS:
    if (folder / limit).exists():
        counts = dict(line.split() for line in (folder / events).read_text().splitlines())
        found = {
            "limit": int((folder / limit).read_text()),
            "peak": int((folder / peak).read_text()),
            "ended": int(counts["oom_kill"]),
        }
        json.dump(found, sys.stdout)
        break
