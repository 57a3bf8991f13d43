from __future__ import annotations

import pytest

from tests.setup.packages import SetupError
from tests.setup.venv import differences, pins


def test_names_are_compared_as_pip_does() -> None:
    assert pins("types-PyYAML==6.0\n# note\nruamel.yaml_x==1\n") == {"types-pyyaml": "6.0", "ruamel-yaml-x": "1"}


@pytest.mark.parametrize("line", ["ansible", "ansible>=12", "-r other.txt"])
def test_unpinned_is_refused(line: str) -> None:
    with pytest.raises(SetupError, match="not pinned"):
        pins(line)


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        pytest.param({"ansible": "12", "jinja2": "3.1", "pip": "26"}, [], id="all there"),
        pytest.param({"jinja2": "3.1"}, ["ansible==12"], id="absent"),
        pytest.param({"ansible": "11", "jinja2": "3.1"}, ["ansible==12"], id="another version"),
        pytest.param({"ansible": "12", "jinja2": "3.0"}, ["jinja2==3.1"], id="another version of a dependency"),
        pytest.param({"ansible": "12"}, [], id="a constraint asks for nothing"),
    ],
)
def test_differences(installed: dict[str, str], expected: list[str]) -> None:
    assert differences({"ansible": "12"}, {"jinja2": "3.1", "ansible": "12"}, installed) == expected
