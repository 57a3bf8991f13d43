"""What `make test` runs side by side is all there is, and each of it once."""

from __future__ import annotations

from tests.run import images, integration, molecule
from tests.run.__main__ import KINDS, lanes


def test_the_lanes_hold_every_test_once() -> None:
    steps = [step for lane in lanes() for step in lane]
    scenarios = [name for kind, only in steps if kind == "molecule" for name in only]
    integrations = [name for kind, only in steps if kind == "integration" for name in only]
    assert scenarios == list(molecule.SCENARIOS)
    assert sorted(integrations) == sorted([*integration.own_names(), *images.test_folders("integration")])
    assert {kind for kind, _only in steps} == set(KINDS)
    assert [only for kind, only in steps if kind in ("lint", "unit")] == [[], []]  # no choice is all of them


def test_no_step_of_an_empty_choice_runs_all() -> None:
    assert all(only for lane in lanes() for kind, only in lane if kind in ("molecule", "integration"))
