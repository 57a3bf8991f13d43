"""The service's URLs. Each answers a problem (RFC 9457) for whatever goes wrong, and no row is ever quoted or logged."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
import logging
import os
import re
import time
import typing as t

import orjson
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from gateway.body import BodyReader, parse_outcome, parse_prediction
from gateway.decisions import Outcome
from gateway.openapi import DECISION, HEALTH, OUTCOME, PREDICTION
from gateway.problems import (
    Busy,
    DecisionLogUnavailable,
    GatewayError,
    NotFound,
    OutcomeConflict,
    Unauthorized,
    problem_response,
    where,
)
from gateway.service import Caller
from gateway.shipping import DeliveryError
from gateway.uuid7 import is_uuid

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.decisions import Decision, DecisionLog
    from gateway.keys import KeyRing
    from gateway.metrics import Metrics
    from gateway.service import PredictionService
    from gateway.settings import Settings
    from gateway.shipping import TraceTarget
    from gateway.status import Status

__all__ = ("Parts", "router")

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_START = os.urandom(8).hex()  # of this process: with a number it makes an id that no other has
_numbers = itertools.count(1)
router = APIRouter()
_log = logging.getLogger(__name__)


@dataclasses.dataclass
class Parts:
    """What the routes work with, made in `app.lifespan`."""

    settings: Settings
    keys: KeyRing
    bodies: BodyReader
    service: PredictionService
    log: DecisionLog
    traces: TraceTarget
    status: Status
    metrics: Metrics
    running: int = 0


Endpoint = t.Callable[..., t.Awaitable[Response]]


def _answered(route: str, *, key: bool = True) -> Callable[[Callable[..., Awaitable[Response]]], Endpoint]:
    """Who asks, how many at once, the request id, the metrics, and every error as a problem."""

    def decorate(endpoint: Callable[..., Awaitable[Response]]) -> Endpoint:
        @functools.wraps(endpoint)
        async def answer(request: Request, **values: str) -> Response:
            started = time.perf_counter()
            parts: Parts = request.scope["state"]["parts"]
            headers = dict(request.scope["headers"])
            given = headers.get(b"x-request-id", b"")
            request_id = given.decode() if REQUEST_ID.fullmatch(given) else f"{_START}-{next(_numbers):x}"
            parts.running += 1
            try:
                if key:
                    request.scope["caller"] = Caller(_client(parts, headers), request_id, started, parts)
                    if parts.running > parts.settings.max_requests:
                        raise Busy(
                            f"{parts.settings.max_requests} requests are being answered: try again.", retry_after=1
                        )
                response = await endpoint(request, **values)
                response.raw_headers.append((b"x-request-id", request_id.encode()))
            except GatewayError as exc:
                response = problem_response(exc, request_id)
            except ClientDisconnect:
                response = Response(status_code=499)  # nobody reads it; the metrics do
            except Exception as exc:  # noqa: BLE001 - the last one to see it
                response = _bug(exc, request_id)
            finally:
                parts.running -= 1
            parts.metrics.answered(route, response.status_code, started)
            return response

        return answer

    return decorate


def _client(parts: Parts, headers: dict[bytes, bytes]) -> str:
    client = parts.keys.client(headers.get(b"authorization", b""))
    if client is None:
        raise Unauthorized("Send Authorization: Bearer KEY with a key from the Secret gateway-keys.")
    return client


def _bug(exc: Exception, request_id: str) -> Response:
    _log.error("request %s failed with %s at %s", request_id, type(exc).__name__, where(exc))
    return problem_response(GatewayError("See the gateway's log at this request's id."), request_id)


class _Json(Response):
    """Of bytes that are JSON: the framework's own takes a while to find out what that means for the head."""

    def __init__(self, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers,
        ]  # fmt: skip


def _json(content: t.Any) -> Response:
    return _Json(orjson.dumps(content))


@router.post("/v1/predictions", **PREDICTION)
@_answered("predictions")
async def predictions(request: Request) -> Response:
    """Predict each row. An answer is given only once its decision is on the gateway's volume."""
    parts: Parts = request.scope["state"]["parts"]
    settings = parts.settings
    async with parts.bodies.take(request) as body:
        asked = parse_prediction(body, max_rows=settings.max_rows, max_string=settings.max_string)
        answer = await parts.service.predict(asked, request.scope["caller"])
    return _Json(answer.body, (b"cache-status", answer.cache_status))


@router.get("/v1/decisions/{decision_id}", **DECISION)
@_answered("decision")
async def decision(request: Request, decision_id: str) -> Response:
    """One decision: from the volume, or from MLflow once it is no longer kept here."""
    parts: Parts = request.scope["state"]["parts"]
    found = await _find(parts, decision_id)
    return _json(found)


@router.post("/v1/decisions/{decision_id}/outcome", **OUTCOME)
@_answered("outcome")
async def outcome(request: Request, decision_id: str) -> Response:
    """What became of a decision, for the audit. The first outcome stays; the same again is no error."""
    parts: Parts = request.scope["state"]["parts"]
    async with parts.bodies.take(request) as body:
        given = parse_outcome(body)
    await _find(parts, decision_id)
    kept = await parts.log.add_outcome(Outcome(decision_id, time.time_ns() // 1000, given))
    if kept != given:
        raise OutcomeConflict("Another outcome was given for this decision before, and it stays.")
    return _json({"decision_id": decision_id, "outcome": kept})


@router.get("/healthz", **HEALTH)
@_answered("health", key=False)
async def healthz(request: Request) -> Response:
    """The process runs and answers."""
    return _json({"status": "ok"})


@router.get("/readyz", **HEALTH)
@_answered("ready", key=False)
async def readyz(request: Request) -> Response:
    """Answers can be given and logged. What is only degraded is named and does not make it unready."""
    parts: Parts = request.scope["state"]["parts"]
    await parts.log.check()
    return _json(await parts.status.read())


@router.get("/metrics", include_in_schema=False)
@_answered("metrics", key=False)
async def metrics(request: Request) -> Response:
    parts: Parts = request.scope["state"]["parts"]
    await parts.status.count()
    return Response(parts.metrics.text(), media_type=PROMETHEUS)


async def _find(parts: Parts, decision_id: str) -> dict[str, t.Any]:
    if not is_uuid(decision_id):
        raise NotFound("A decision id is a UUID, as an answer gives it.")
    found = await parts.log.find(decision_id)
    if found:
        return _public(found)
    try:
        trace = await parts.traces.find(decision_id)
    except DeliveryError as exc:
        text = f"The decision is not on the gateway's volume, and {exc}: try again later."
        raise DecisionLogUnavailable(text, retry_after=5) from exc
    if trace is None:
        raise NotFound("Neither the gateway nor MLflow has a decision with this id.")
    return trace


def _public(found: Decision) -> dict[str, t.Any]:
    return {
        "decision_id": found.id,
        "request_id": found.request_id,
        "at": dt.datetime.fromtimestamp(found.at_us / 1e6, dt.UTC),
        "client": found.client,
        "model": found.model,
        "model_version": orjson.Fragment(found.version),
        "input": orjson.Fragment(found.input),
        "output": orjson.Fragment(found.output),
        "cached": bool(found.cached),
        "latency_ms": found.latency_us / 1000,
        "trace": "stored" if found.shipped_us else "waiting",
    }
