"""What `make test` runs side by side is all there is, and each of it once."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.run import images, integration, molecule
from tests.run.__main__ import KINDS, lanes, main, run_steps
from tests.run.process import ROOT
from tests.run.report import Tally


def chosen(wanted: str) -> Counter[str]:
    return Counter(name for lane in lanes() for kind, only in lane if kind == wanted for name in only)


def test_the_lanes_hold_every_scenario_once() -> None:
    there = [path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")]
    assert chosen("molecule") == Counter(there)


def test_the_lanes_hold_every_integration_test_once() -> None:
    there = [*integration.targets(), *integration.files(), *images.test_folders("integration")]
    assert chosen("integration") == Counter(there)


def test_a_chain_stays_in_its_order_and_lane() -> None:
    orders = [[name for kind, only in lane if kind == "molecule" for name in only] for lane in lanes()]
    assert [tuple(order) for order in orders if order] == list(molecule.CHAINS.values())


def test_all_of_a_kind_runs_in_one_step() -> None:
    steps = [(kind, only) for lane in lanes() for kind, only in lane if kind in ("lint", "unit")]
    assert sorted(steps) == [("lint", []), ("unit", [])]  # no choice is all of them
    assert {kind for lane in lanes() for kind, _only in lane} == set(KINDS)


def test_no_step_of_an_empty_choice_runs_all() -> None:
    assert all(only for lane in lanes() for kind, only in lane if kind in ("molecule", "integration"))


def test_a_lane_ends_with_the_scenario_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def scenarios(only: list[str]) -> Tally:
        asked.extend(only)
        return Tally(1, ("molecule two converge",) if "two" in only else ())

    monkeypatch.setitem(KINDS, "molecule", scenarios)
    done = run_steps([("molecule", ["one"]), ("molecule", ["two"]), ("molecule", ["three"])])
    assert done == {"molecule": Tally(2, ("molecule two converge",))}
    assert asked == ["one", "two"]


@pytest.mark.parametrize("kind", ["lint", "molecule", "integration", "all"])
def test_what_is_unknown_is_named(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tests.run", kind, "nope"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert f"{kind} has no nope; it has: " in capsys.readouterr().err
