from __future__ import annotations

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.plugin_utils._wheels import (
    NodePython,
    find_pip,
    parse_requirements,
    plan_environment,
    select_wheel,
)

BOOKWORM = NodePython((3, 11, 2), "x86_64", (2, 36))
ROCKY = NodePython((3, 9, 18), "aarch64", (2, 34))
WHEELS = [
    "pip-26.0.1-py3-none-any.whl",
    "six-1.17.0-py2.py3-none-any.whl",
    "pyyaml-6.0.3-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl",
    "pyyaml-6.0.3-cp39-cp39-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
    "pycryptodome-4.4.0-cp39-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "future-1.0-cp311-cp311-manylinux_2_39_x86_64.whl",
]
REQUIREMENTS = """# made by a tool
six==1.17.0 \\
    --hash=sha256:00 \\
    --hash=sha256:11
async-timeout==5.0.1 ; python_full_version < '3.11.3' \\
    --hash=sha256:22
PyYAML==6.0.3  # a comment
tomli==2.0.0 ; python_full_version < '3.11'
"""


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (BOOKWORM, {"six": "1.17.0", "async-timeout": "5.0.1", "pyyaml": "6.0.3"}),
        (ROCKY, {"six": "1.17.0", "async-timeout": "5.0.1", "pyyaml": "6.0.3", "tomli": "2.0.0"}),
        (NodePython((3, 13, 1), "x86_64", (2, 41)), {"six": "1.17.0", "pyyaml": "6.0.3"}),
    ],
)
def test_requirements_of_a_node(node: NodePython, expected: dict[str, str]) -> None:
    assert parse_requirements(REQUIREMENTS, node) == expected


@pytest.mark.parametrize("line", ["six>=1", "six", "six @ https://x", "!"])
def test_requirements_that_are_not_pinned(line: str) -> None:
    with pytest.raises(AirgapError, match="Make the bundle again"):
        parse_requirements(line, BOOKWORM)


@pytest.mark.parametrize(
    ("name", "version", "node", "expected"),
    [
        ("six", "1.17.0", ROCKY, WHEELS[1]),
        ("pyyaml", "6.0.3", BOOKWORM, WHEELS[2]),
        ("pyyaml", "6.0.3", ROCKY, WHEELS[3]),
        ("pycryptodome", "4.4.0", BOOKWORM, WHEELS[4]),
    ],
)
def test_wheel_that_fits(name: str, version: str, node: NodePython, expected: str) -> None:
    assert select_wheel(name, version, WHEELS, node) == expected


@pytest.mark.parametrize(
    ("name", "version", "node", "expected"),
    [
        pytest.param(
            "pycryptodome",
            "4.4.0",
            ROCKY,
            "for Python 3.9.18 on aarch64 with glibc 2.34: it has pycryptodome-4.4.0-cp39-abi3",
            id="other processor",
        ),
        pytest.param("future", "1.0", BOOKWORM, "it has future-1.0-cp311", id="newer glibc"),
        pytest.param("six", "2.0", BOOKWORM, "it has none at all", id="other version"),
    ],
)
def test_no_wheel_fits(name: str, version: str, node: NodePython, expected: str) -> None:
    with pytest.raises(AirgapError, match=expected.replace(".", r"\.")):
        select_wheel(name, version, WHEELS, node)


def test_no_pip() -> None:
    with pytest.raises(AirgapError, match="no wheel of pip"):
        find_pip(WHEELS[1:])


WANTED = {"six": "1.17.0", "pyyaml": "6.0.3"}


@pytest.mark.parametrize(
    ("installed", "usable", "wheels", "removals", "rebuild"),
    [
        pytest.param({}, False, [WHEELS[2], WHEELS[1], WHEELS[0]], [], True, id="bare"),
        pytest.param(WANTED, True, [], [], False, id="converged"),
        pytest.param(
            WANTED, False, [WHEELS[2], WHEELS[1], WHEELS[0]], [], True, id="broken: made anew, whatever is in it"
        ),
        pytest.param({**WANTED, "six": "1.0"}, True, [WHEELS[1], WHEELS[0]], [], False, id="another version"),
        pytest.param({**WANTED, "extra": "1"}, True, [WHEELS[0]], ["extra"], False, id="one too many"),
    ],
)
def test_plan(installed: dict[str, str], usable: bool, wheels: list[str], removals: list[str], rebuild: bool) -> None:
    plan = plan_environment(wanted=WANTED, installed=installed, usable=usable, filenames=WHEELS, node=BOOKWORM)
    assert list(plan.wheels) == wheels
    assert list(plan.removals) == removals
    assert plan.rebuild == rebuild
    assert plan.changed == bool(wheels or rebuild)
    assert (plan.diff["before"] == plan.diff["after"]) == (installed == WANTED and usable)
