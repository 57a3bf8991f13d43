from __future__ import annotations

import typing as t

import pytest

from tests.demo.cluster import why_not_ready

SINCE = 1_795_345_700.0  # 2026-11-22T11:08:20Z
READY = [{"type": "Ready", "status": "True"}]


def _pod(state: dict[str, t.Any], conditions: list[dict[str, str]], **metadata: str) -> dict[str, t.Any]:
    return {
        "metadata": {"name": "mlflow-1", **metadata},
        "status": {"containerStatuses": [{"state": state}], "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        pytest.param(_pod({"running": {"startedAt": "2026-11-22T11:08:20Z"}}, READY), "", id="started since, ready"),
        pytest.param(
            _pod({"running": {"startedAt": "2026-11-22T11:08:19Z"}}, READY), "not been started", id="stale status"
        ),
        pytest.param(_pod({"waiting": {"reason": "ErrImageNeverPull"}}, []), "ErrImageNeverPull", id="waiting"),
        pytest.param(_pod({"running": {"startedAt": "2026-11-22T11:09:00Z"}}, []), "is not ready", id="not ready"),
        pytest.param(_pod({}, READY, deletionTimestamp="2026-11-22T11:09:00Z"), "being deleted", id="going"),
    ],
)
def test_why_not_ready(pod: dict[str, t.Any], why: str) -> None:
    found = why_not_ready(pod, SINCE)
    assert why in found
    assert bool(found) is bool(why)
