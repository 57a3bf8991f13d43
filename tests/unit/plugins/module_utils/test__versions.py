from __future__ import annotations

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._versions import K3sVersion, parse_version_output


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param("v1.33.9+k3s1", "v1.34.0+k3s1", id="minor"),
        pytest.param("v1.34.9+k3s1", "v1.34.10+k3s1", id="patch, as a number"),
        pytest.param("v1.33.7+k3s1", "v1.33.7+k3s3", id="only the suffix"),
        pytest.param("v1.35.4-rc2+k3s1", "v1.35.4+k3s1", id="a candidate comes before its release"),
        pytest.param("v1.33", "v1.33.1+k3s1", id="a floor without patch"),
    ],
)
def test_order(older: str, newer: str) -> None:
    assert K3sVersion.parse(older) < K3sVersion.parse(newer)
    assert K3sVersion.parse(newer) > K3sVersion.parse(older)


def test_a_floor_without_patch_admits_its_first_release() -> None:
    assert K3sVersion.parse("v1.33.0+k3s1") >= K3sVersion.parse("v1.33")


@pytest.mark.parametrize("text", ["", "latest", "1", "v1.35.x", "v1.35.4+"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(AirgapError, match="Write it as in the release"):
        K3sVersion.parse(text)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("k3s version v1.36.3+k3s1 (0123abcd)\ngo version go1.26.4\n", "v1.36.3+k3s1"),
        ("k3s version v1.35.4+standin1 (c1317e1d)\ngo version go1.26.6\n", "v1.35.4+standin1"),
        ("", None),
        ("cannot execute binary file: Exec format error", None),
    ],
)
def test_output_of_version(output: str, expected: str | None) -> None:
    assert parse_version_output(output) == expected
