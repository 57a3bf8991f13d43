from __future__ import annotations

import logging

import pytest

from gateway.breaker import Breaker


def test_a_failure_is_remembered_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    breaker = Breaker(5, clock=lambda: now)

    def reason() -> str | None:
        return breaker.reason

    assert reason() is None
    with caplog.at_level(logging.WARNING, "gateway.cache"):
        breaker.failed("Redis cannot be reached")
        assert reason() == "Redis cannot be reached"
        now = 104.9
        assert reason() == "Redis cannot be reached"
        now = 105.0
        assert reason() is None, "one may try again"
        breaker.failed("Redis did not answer in time")
        assert reason() == "Redis did not answer in time"
        breaker.worked()
        breaker.worked()
    assert reason() is None
    assert [record.message for record in caplog.records] == [
        "predicting without the cache: Redis cannot be reached",
        "the cache is back",
    ], "said once each, however long it lasts"
