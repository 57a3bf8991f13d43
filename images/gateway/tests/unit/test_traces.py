"""A decision there and back again."""

from __future__ import annotations

import orjson

from gateway.decisions import Decision
from gateway.traces import otlp_document, read_trace, trace_id

IDENT = "01a2039d-b34d-7736-8af4-e3c5944a5123"
DECISION = Decision(
    IDENT, 1_795_356_007_000_000, "request-1", "shop", "income",
    '{"mindsdb":"3","mlflow_model":"income","mlflow_version":"3","run_id":null}',
    '{"age":"[25, 35)","é":1.5}', '{"income":">50K"}', 1, 1500,
)  # fmt: skip


def test_the_span_has_the_decisions_own_id_and_times() -> None:
    span = orjson.loads(otlp_document([DECISION]))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert trace_id(IDENT) == "tr-" + span["traceId"] == "tr-" + IDENT.replace("-", "")
    assert span["spanId"] == span["traceId"][16:]
    assert int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) == 1_500_000


def test_tags_are_texts_and_what_is_not_known_is_left_out() -> None:
    span = orjson.loads(otlp_document([DECISION]))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    given = {item["key"]: item["value"]["stringValue"] for item in span["attributes"]}
    assert given["mlflow.traceTag.cached"] == "true"
    assert given["mlflow.traceTag.mlflow_version"] == "3"
    assert given["mlflow.traceTag.latency_ms"] == "1.500"
    assert "mlflow.traceTag.run_id" not in given
    assert given["mlflow.spanInputs"] == DECISION.input
    assert all(isinstance(value, str) for value in given.values())


def test_the_same_decision_gives_the_same_bytes() -> None:
    assert otlp_document([DECISION]) == otlp_document([DECISION])


def test_a_trace_is_read_back_as_the_decision() -> None:
    # recorded from GET /api/3.0/mlflow/traces/get of mlflow 3.17.2
    document = {
        "trace": {
            "trace_info": {
                "request_time": "2026-11-22T14:00:07.834Z",
                "tags": {
                    "request_id": "request-1", "client": "shop", "model": "income", "cached": "true", "latency_ms": "1.500",
                    "mindsdb_version": "3", "mlflow_model": "income", "mlflow_version": "3", "run_id": "r",
                },
            },
            "spans": [{"attributes": [
                {"key": "mlflow.spanInputs", "value": {"kvlist_value": {"values": [
                    {"key": "age", "value": {"string_value": "[25, 35)"}}, {"key": "w", "value": {"double_value": 1.5}},
                    {"key": "n", "value": {"int_value": "7"}}, {"key": "none", "value": {}},
                    {"key": "b", "value": {"bool_value": False}},
                ]}}},
                {"key": "mlflow.spanOutputs", "value": {"kvlist_value": {"values": [
                    {"key": "income", "value": {"string_value": ">50K"}},
                    {"key": "p", "value": {"array_value": {"values": [{"double_value": 0.5}]}}},
                ]}}},
            ]}],
        }
    }  # fmt: skip
    found = read_trace(IDENT, orjson.dumps(document))
    assert found["input"] == {"age": "[25, 35)", "w": 1.5, "n": 7, "none": None, "b": False}
    assert found["output"] == {"income": ">50K", "p": [0.5]}
    assert (found["cached"], found["latency_ms"], found["model_version"]["run_id"]) == (True, 1.5, "r")
