from __future__ import annotations

from pathlib import Path

import pytest

from tabular_handler.memory import memory_left

STAT = "anon 300\nfile 190\ninactive_file 100\nactive_file 50\nshmem 40\n"
OLD_STAT = "cache 1\ninactive_file 1\ntotal_cache 190\ntotal_inactive_file 100\ntotal_active_file 50\n"


@pytest.mark.parametrize(
    ("files", "left"),
    [
        pytest.param({"memory.max": "2000\n", "memory.current": "500\n", "memory.stat": STAT}, 1650, id="version 2"),
        pytest.param({"memory.max": "max\n", "memory.current": "500\n", "memory.stat": STAT}, None, id="no limit"),
        pytest.param({"memory.max": "400\n", "memory.current": "600\n", "memory.stat": "anon 600\n"}, -200, id="lowered"),
        pytest.param(
            {"memory/memory.limit_in_bytes": "2000", "memory/memory.usage_in_bytes": "500", "memory/memory.stat": OLD_STAT},
            1650, id="version 1",
        ),
        pytest.param(
            {"memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.usage_in_bytes": "5", "memory/memory.stat": ""},
            None, id="version 1 without a limit",
        ),
        pytest.param({"cgroup.procs": "1\n"}, None, id="no controller"),
    ],
)  # fmt: skip
def test_what_is_left(tmp_path: Path, files: dict[str, str], left: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory_left(tmp_path) == left
