"""The interface as OpenAPI shows it. The service reads bodies itself, so what it takes is written down here; a test
holds the two together.
"""

from __future__ import annotations

import typing as t

import pydantic

from gateway.problems import MEDIA_TYPE

__all__ = ("DECISION", "DESCRIPTION", "HEALTH", "OUTCOME", "PREDICTION", "complete")

Scalar = str | int | float | bool | None
DESCRIPTION = """Predictions that are anonymised, cached and logged.

Each row is anonymised by the policy of its model before anything else sees it. An answer names the version of the model
and a decision id; its decision is durable before it is sent, and becomes a trace in MLflow's experiment `decisions`."""


class ModelVersion(pydantic.BaseModel):
    mindsdb: str
    mlflow_model: str | None
    mlflow_version: str | None
    run_id: str | None


class Prediction(pydantic.BaseModel):
    output: dict[str, t.Any] = pydantic.Field(examples=[{"income": ">50K"}])
    cached: bool
    decision_id: str


class PredictionAnswer(pydantic.BaseModel):
    model: str
    model_version: ModelVersion
    predictions: list[Prediction]
    warnings: list[str] = pydantic.Field(default=[], description="Why there is no cache just now; the answer is right.")


class PredictionQuestion(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    model: str = pydantic.Field(min_length=1, max_length=128, examples=["income"])
    rows: list[dict[str, Scalar]] = pydantic.Field(
        min_length=1, description="One object of columns a row.", examples=[[{"age": 39, "hours": 40}]]
    )


class OutcomeQuestion(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    outcome: str | int | float | bool = pydantic.Field(examples=[">50K"])


class OutcomeAnswer(pydantic.BaseModel):
    decision_id: str
    outcome: str


class DecisionAnswer(pydantic.BaseModel):
    decision_id: str
    request_id: str | None
    at: str
    client: str | None
    model: str | None
    model_version: ModelVersion
    input: dict[str, Scalar]
    output: dict[str, t.Any]
    cached: bool
    latency_ms: float
    trace: t.Literal["stored", "waiting"]


class Problem(pydantic.BaseModel):
    type: str
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    errors: list[dict[str, t.Any]] | None = None


_TEXTS = {
    400: "The request cannot be read",
    401: "The bearer key is missing or not known",
    404: "No such model or decision",
    408: "The request came too slowly",
    409: "The decision already has another outcome",
    413: "Too many bytes, rows or characters of text",
    415: "Not plain JSON",
    422: "Rows that do not fit the model; errors names row and column, never the value",
    500: "The gateway failed, or the model's policy does not fit it",
    502: "MindsDB gave no usable answer",
    503: "MindsDB or the decision log cannot be used just now",
    504: "MindsDB did not answer in time",
    507: "The volume of the decision log is full: nothing is answered that cannot be logged",
}


def _problems(*statuses: int) -> dict[int | str, dict[str, t.Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TEXTS[status], "content": content} for status in statuses}


def _body(model: type[pydantic.BaseModel]) -> dict[str, t.Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


_KEY: dict[str, t.Any] = {"security": [{"key": []}]}
PREDICTION: dict[str, t.Any] = {
    "response_model": PredictionAnswer,
    "responses": _problems(400, 401, 404, 408, 413, 415, 422, 500, 502, 503, 504, 507),
    "openapi_extra": {**_KEY, "requestBody": _body(PredictionQuestion)},
}
DECISION: dict[str, t.Any] = {
    "response_model": DecisionAnswer,
    "responses": _problems(401, 404, 503),
    "openapi_extra": _KEY,
}
OUTCOME: dict[str, t.Any] = {
    "response_model": OutcomeAnswer,
    "responses": _problems(400, 401, 404, 408, 409, 413, 415, 503, 507),
    "openapi_extra": {**_KEY, "requestBody": _body(OutcomeQuestion)},
}
HEALTH: dict[str, t.Any] = {"response_model": dict[str, t.Any], "responses": _problems(503)}


def complete(document: dict[str, t.Any]) -> dict[str, t.Any]:
    """Add what the routes refer to and the framework cannot see."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    schemas = components.setdefault("schemas", {})
    for model in (PredictionQuestion, OutcomeQuestion, Problem):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            # the framework's own idea of a 422; ours is a problem
            answer = operation["responses"].get("422", {})
            if "application/json" in answer.get("content", {}):
                del operation["responses"]["422"]
    return document
