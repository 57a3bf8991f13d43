"""What the tests of the bundle's images share."""

from __future__ import annotations

import pathlib
import typing as t
from collections.abc import Iterator

import pytest

from tests.integration.containers import Container, Postgres
from tests.run.bundle import ensure_bundle


@pytest.fixture(scope="session")
def bundle() -> None:
    ensure_bundle()


@pytest.fixture
def postgres(tmp_path: pathlib.Path) -> Iterator[Postgres]:
    made = Postgres(tmp_path)
    yield made
    for container in made.containers:
        container.remove()


@pytest.fixture
def run() -> Iterator[t.Callable[..., Container]]:
    started: list[Container] = []

    def start(image: str, *command: str, flags: t.Sequence[str] = (), beside: Container | None = None) -> Container:
        started.append(Container(image, *command, flags=flags, beside=beside))
        return started[-1]

    yield start
    for container in started:
        container.remove()
