"""Whose node may be removed by another checkout."""

from __future__ import annotations

import pytest

from tests.node.node import is_abandoned

CASES = [
    pytest.param("edge1", "running", True, False, id="in use"),
    pytest.param("edge1", "exited", True, True, id="a test's node that no run is using"),
    pytest.param("demo", "exited", True, False, id="somebody's demo, switched off"),
    pytest.param("demo", "running", False, True, id="its checkout is gone"),
]


@pytest.mark.parametrize(("name", "state", "owner_exists", "expected"), CASES)
def test_is_abandoned(name: str, state: str, owner_exists: bool, expected: bool) -> None:
    assert is_abandoned(name, state, owner_exists=owner_exists) is expected
