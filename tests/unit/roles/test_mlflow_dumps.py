"""Which dumps a migration of MLflow's database keeps."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


def removal() -> str:
    """The line that chooses which dumps to remove."""
    lines = (ROOT / "roles/mlflow/templates/migration_job.yml.j2").read_text().splitlines()
    (line,) = (line for line in lines if "ls -1t /backup" in line)
    return line


@pytest.mark.parametrize(
    ("keep", "new_is_oldest", "kept"),
    [
        (0, False, ["new"]),
        (-3, False, ["new"]),
        (1, False, ["new"]),
        (2, False, ["c", "new"]),
        (4, False, ["a", "b", "c", "new"]),
        (9, False, ["a", "b", "c", "new"]),
        pytest.param(1, True, ["new"], id="a clock that went back"),
    ],
)
def test_the_new_dump_is_never_removed(tmp_path: pathlib.Path, keep: int, new_is_oldest: bool, kept: list[str]) -> None:
    for age, name in enumerate(["new", "c", "b", "a"]):
        dump = tmp_path / f"{name}.dump"
        dump.touch()
        when = 0 if name == "new" and new_is_oldest else 1000 - age
        os.utime(dump, (when, when))
    script = f'dump="{tmp_path}/new.dump"\n{removal()}'.replace("/backup", str(tmp_path))
    subprocess.run(["sh", "-ceu", script], check=True, env={**os.environ, "KEEP": str(keep)})
    assert sorted(path.stem for path in tmp_path.iterdir()) == kept


def test_without_an_older_dump_nothing_is_removed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "new.dump").touch()
    script = f'dump="{tmp_path}/new.dump"\n{removal()}'.replace("/backup", str(tmp_path))
    subprocess.run(["sh", "-ceu", script], check=True, env={**os.environ, "KEEP": "3"})
    assert (tmp_path / "new.dump").exists()
