"""Requests that a generator makes out of the interface's own description: none may break the service or its promises."""

from __future__ import annotations

import typing as t

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .processes import Gateway

CONFORMANCE = [content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the generator's own parts
def test_generated_requests_get_described_answers(gateway: Gateway) -> None:
    schema: t.Any = schemathesis.openapi.from_url(f"http://127.0.0.1:{gateway.port}/openapi.json")
    for result in schema.get_all_operations():
        run_operation(gateway, result.ok())
    assert gateway.get("/healthz").status_code == 200
    assert "Traceback" not in gateway.log.read_text()


def run_operation(gateway: Gateway, operation: t.Any) -> None:
    # decisions that are not here are looked for in MLflow, which this gateway has not: 503 is right, and described
    checks = [*CONFORMANCE, *([] if "decision" in operation.path else [not_a_server_error])]

    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(
        max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )
    def one(case: t.Any) -> None:
        case.call_and_validate(headers={"authorization": f"Bearer {gateway.key}"}, checks=checks)

    one()
