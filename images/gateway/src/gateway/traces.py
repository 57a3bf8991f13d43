"""A decision as a trace of MLflow, and back again. Pure.

The trace's id is the decision's own, so the same decision sent again changes nothing. It goes to MLflow's OTLP endpoint,
which takes tags, inputs and outputs as attributes of the root span (mlflow 3.17, store/tracking: log_spans).
"""

from __future__ import annotations

import typing as t

import orjson

if t.TYPE_CHECKING:
    from gateway.decisions import Decision

__all__ = ("otlp_document", "read_trace", "trace_id")

INPUTS, OUTPUTS = "mlflow.spanInputs", "mlflow.spanOutputs"


def trace_id(decision_id: str) -> str:
    """MLflow's name of the trace of a decision."""
    return "tr-" + decision_id.replace("-", "")


def otlp_document(decisions: list[Decision]) -> bytes:
    spans = [_span(decision) for decision in decisions]
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "gateway"}, "spans": spans}]}]})


def _span(decision: Decision) -> dict[str, t.Any]:
    digits = decision.id.replace("-", "")
    version = orjson.loads(decision.version)
    tags = {
        "mlflow.traceName": decision.model,
        "decision_id": decision.id,
        "request_id": decision.request_id,
        "client": decision.client,
        "model": decision.model,
        "mindsdb_version": version["mindsdb"],
        "mlflow_model": version["mlflow_model"],
        "mlflow_version": version["mlflow_version"],
        "run_id": version["run_id"],
        "cached": "true" if decision.cached else "false",
        "latency_ms": f"{decision.latency_us / 1000:.3f}",
    }
    attributes = {f"mlflow.traceTag.{name}": value for name, value in tags.items() if value is not None}
    attributes |= {
        "mlflow.spanInputs": decision.input,
        "mlflow.spanOutputs": decision.output,
        "mlflow.spanType": "TOOL",
    }
    return {
        "traceId": digits,
        "spanId": digits[16:],
        "name": decision.model,
        "kind": 2,
        "startTimeUnixNano": str((decision.at_us - decision.latency_us) * 1000),
        "endTimeUnixNano": str(decision.at_us * 1000),
        "status": {"code": 1},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }


def read_trace(decision_id: str, document: bytes) -> dict[str, t.Any]:
    """What `GET /v1/decisions/{id}` shows of a trace that MLflow keeps."""
    trace = orjson.loads(document)["trace"]
    info, tags = trace["trace_info"], trace["trace_info"]["tags"]
    given = {item["key"]: _value(item["value"]) for span in trace.get("spans", [])[:1] for item in span["attributes"]}
    return {
        "decision_id": decision_id,
        "request_id": tags.get("request_id"),
        "at": info["request_time"],
        "client": tags.get("client"),
        "model": tags.get("model"),
        "model_version": {
            "mindsdb": tags.get("mindsdb_version"),
            **{name: tags.get(name) for name in ("mlflow_model", "mlflow_version", "run_id")},
        },
        "input": given.get(INPUTS),
        "output": given.get(OUTPUTS),
        "cached": tags.get("cached") == "true",
        "latency_ms": float(tags.get("latency_ms", "nan")),
        "trace": "stored",
    }


def _value(given: dict[str, t.Any]) -> t.Any:
    """OTLP's way to write a value, undone."""
    kind, value = t.cast("tuple[str, t.Any]", next(iter(given.items()), ("", None)))
    match kind:
        case "kvlist_value":
            return {item["key"]: _value(item["value"]) for item in value.get("values", [])}
        case "array_value":
            return [_value(item) for item in value.get("values", [])]
        case "int_value":
            return int(value)
    return value
