"""Counts that the runner takes from its tools' own output (ansible-core 2.19.14, molecule 26.10.0, pytest 9.2.0)."""

from __future__ import annotations

import pathlib

import pytest

from tests.run.molecule import scenario_tally
from tests.run.process import Done
from tests.run.report import Tally, clock
from tests.run.sanity import sanity_tally
from tests.run.tallies import go_tally, pytest_tally

SANITY = """Running sanity test "action-plugin-docs"
Running sanity test "compile" on Python 3.9
Running sanity test "compile" on Python 3.11
Running sanity test "pep8"
ERROR: Found 1 pep8 issue(s) which need to be resolved:
ERROR: plugins/modules/x.py:251:161: E501: line too long (161 > 160 characters)
"""
SANITY_END = """FATAL: The 2 sanity test(s) listed below (out of 4) failed. See error output above for details.
compile --python 3.9
pep8
"""


def test_sanity_that_passed() -> None:
    assert sanity_tally(SANITY, 0) == Tally(4)


def test_sanity_that_failed() -> None:
    assert sanity_tally(SANITY + SANITY_END, 1) == Tally(2, ("ansible-test compile --python 3.9", "ansible-test pep8"))


def test_sanity_that_never_ran() -> None:
    assert sanity_tally("FATAL: no pip\n", 1) == Tally(0, ("ansible-test sanity",))


MOLECULE = """INFO     [k3s > create] Executing
INFO     [k3s > create] Executed: Successful
INFO     [k3s > prepare] Executing
WARNING  [k3s > prepare] Executed: Missing playbook (Remove from create_sequence to suppress)
INFO     [k3s > converge] Executing
"""


def test_a_scenario_that_passed() -> None:
    output = (
        MOLECULE + "INFO     [k3s > converge] Executed: Successful\n\nDETAILS\nk3s > converge: Executed: Successful\n"
    )
    assert scenario_tally("k3s", output, 0) == Tally(2)


def test_a_scenario_that_failed() -> None:
    output = MOLECULE + "ERROR    [k3s > converge] Executed: Failed\n"
    assert scenario_tally("k3s", output, 2) == Tally(1, ("molecule k3s converge",))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param('{"msg": "never"}', ": never", id="in one line"),
        pytest.param(
            "\n    msg: non-zero return code\n    rc: 1\n    stderr: |-\n        a\n        b\n\n        none matches\n    stdout: ''",
            ": non-zero return code: a / b / none matches",
            id="the end of what its command said",
        ),
        pytest.param("{ not YAML", "", id="nothing that can be read"),
        pytest.param("no", "", id="no result"),
    ],
)
def test_a_scenario_names_the_task_that_failed_and_why(said: str, why: str) -> None:
    tasks = """TASK [Try what may fail] ***
fatal: [edge1]: FAILED! => {"msg": "no"}
...ignoring

TASK [k3s : Wait until it is ready] ******
[ERROR]: Task failed: Module failed: never
failed: [edge1] (item=x) => {said}

TASK [Clean up] ***
ok: [edge1]
"""
    output = MOLECULE + tasks.replace("{said}", said) + "ERROR    [k3s > converge] Executed: Failed\n"
    assert scenario_tally("k3s", output, 2).failures == (f"molecule k3s converge: k3s : Wait until it is ready{why}",)


def test_a_scenario_that_was_cut_off() -> None:
    assert scenario_tally("k3s", MOLECULE, -15) == Tally(1, ("molecule k3s converge",))
    assert scenario_tally("k3s", "", 1) == Tally(0, ("molecule k3s",))


@pytest.mark.parametrize(
    ("text", "rc", "expected"),
    [
        ("....\n4 passed in 0.12s\n", 0, Tally(4)),
        (
            "FAILED a.py::test_x - no\n1 failed, 3 passed, 2 skipped in 1.10s\n",
            1,
            Tally(3, ("a.py::test_x",), ("2 skipped by pytest",)),
        ),
        ("ERROR a.py - SyntaxError\n1 error in 0.02s\n", 2, Tally(0, ("a.py",))),
        ("usage: pytest\n", 4, Tally(0, ("pytest",))),
    ],
)
def test_pytest(tmp_path: pathlib.Path, text: str, rc: int, expected: Tally) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    assert pytest_tally(Done("pytest", rc, 1.0, log)) == expected


def test_totals_add_up() -> None:
    total = Tally(2, ("a",)) + Tally(3, (), ("note",))
    assert (total.passed, total.failed, str(total)) == (5, 1, "6 ran, 5 passed, 1 failed (note)")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3600, "60 min 00 s")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


# go1.26.6 test -v
GO = """=== RUN   TestLoad
=== RUN   TestLoad/a_bool
--- PASS: TestLoad (0.01s)
    --- PASS: TestLoad/plus_appends (0.00s)
    --- {}: TestLoad/a_bool (0.01s)
--- PASS: TestRules (0.40s)
"""


@pytest.mark.parametrize(
    ("output", "rc", "expected"),
    [
        pytest.param(GO.format("PASS"), 0, Tally(3), id="each case of a table, and not the table"),
        pytest.param(GO.format("FAIL"), 1, Tally(2, ("TestLoad/a_bool",)), id="a failure"),
        pytest.param(GO.format("SKIP"), 0, Tally(2, (), ("1 skipped by unit go test",)), id="a skipped one"),
        pytest.param("# airgap.local [build failed]\n", 1, Tally(0, ("unit go test",)), id="what does not compile"),
    ],
)
def test_go(tmp_path: pathlib.Path, output: str, rc: int, expected: Tally) -> None:
    log = tmp_path / "go.log"
    log.write_text(output)
    assert go_tally(Done("unit go test", rc, 1.0, log)) == expected
