"""The interface that OpenAPI shows is the one that the routes serve."""

from __future__ import annotations

import typing as t

import pytest
from fastapi import FastAPI

from gateway import openapi, routes
from gateway.body import MAX_NAME

BODIES = {"/v1/predictions": {"model", "rows"}, "/v1/decisions/{decision_id}/outcome": {"outcome"}}


@pytest.fixture(scope="module")
def document() -> dict[str, t.Any]:
    app = FastAPI()
    app.include_router(routes.router)
    return openapi.complete(app.openapi())


def test_each_reference_leads_somewhere(document: dict[str, t.Any]) -> None:
    def references(node: object) -> t.Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_bodies_have_the_members_that_are_read(document: dict[str, t.Any]) -> None:
    for path, members in BODIES.items():
        reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert set(schema["properties"]) == set(schema["required"]) == members
        assert schema["additionalProperties"] is False
    assert document["components"]["schemas"]["PredictionQuestion"]["properties"]["model"]["maxLength"] == MAX_NAME


def test_all_but_health_wants_a_key_and_errors_are_problems(document: dict[str, t.Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) is path.startswith("/v1/"), path
            for status, answer in operation["responses"].items():
                assert status == "200" or list(answer["content"]) == ["application/problem+json"], (path, status)
