"""A volume without room: nothing is answered that cannot be logged, and all goes on once there is room again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Make
from .processes import ROW
from .test_predictions import problem


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    options = ["-t", "tmpfs", "-o", "size=6m", "none", str(folder)]
    if not mount or not umount or subprocess.run([mount, *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a small volume")
    yield folder
    subprocess.run([umount, "--lazy", str(folder)], check=True)


def test_a_full_volume_refuses_and_recovers(make_gateway: Make, small_volume: Path) -> None:
    gateway = make_gateway()
    gateway.volume = small_volume
    gateway.start(GATEWAY_VOLUME=str(small_volume), GATEWAY_RESERVE_BYTES="0")
    assert gateway.predict(ROW).status_code == 200
    ballast = small_volume / "ballast"
    fill(ballast)
    answers = [gateway.predict(*[ROW] * 20) for _ in range(200)]
    assert {answer.status_code for answer in answers} <= {200, 507}
    problem(answers[-1], 507)  # what room the journal and the WAL had is used up
    given = [
        one["decision_id"] for answer in answers if answer.status_code == 200 for one in answer.json()["predictions"]
    ]
    ballast.unlink()
    assert gateway.predict(ROW).status_code == 200
    gateway.stop()
    gateway.start()
    with gateway.client() as client:
        assert {client.get(f"/v1/decisions/{ident}").status_code for ident in given} <= {200}


def fill(ballast: Path) -> None:
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), b"x" * 4096)


def test_below_the_reserve_it_is_not_ready(make_gateway: Make) -> None:
    gateway = make_gateway().start(GATEWAY_RESERVE_BYTES="900000000000")
    problem(gateway.predict(ROW), 507)
    problem(gateway.get("/readyz"), 507)
    assert gateway.get("/healthz").status_code == 200
