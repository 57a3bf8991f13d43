"""Every error a client can see, as application/problem+json (RFC 9457). Pure but for the two handlers at the end.

A problem's text names the thing, the place and the way out. It never quotes a value of the client's row.
"""

from __future__ import annotations

import dataclasses
import traceback
import typing as t

import orjson
from starlette.responses import Response

if t.TYPE_CHECKING:
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

__all__ = (
    "BadRequest",
    "BodyTooLarge",
    "BodyTooSlow",
    "Busy",
    "DecisionLogFull",
    "DecisionLogUnavailable",
    "GatewayError",
    "HeadTooLarge",
    "MindsDBDown",
    "MindsDBRefused",
    "MindsDBSlow",
    "MindsDBWrong",
    "NotFound",
    "OutcomeConflict",
    "PolicyMismatch",
    "RowsRefused",
    "Unauthorized",
    "UnsupportedMediaType",
    "http_problem",
    "problem_response",
    "where",
)

MEDIA_TYPE = "application/problem+json"


@dataclasses.dataclass
class GatewayError(Exception):
    """Raised anywhere in the service, answered in one place."""

    detail: str
    errors: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    retry_after: int | None = None

    status: t.ClassVar[int] = 500
    title: t.ClassVar[str] = "The gateway failed"

    def __str__(self) -> str:
        return self.detail


class BadRequest(GatewayError):
    status = 400
    title = "The request cannot be read"


class Unauthorized(GatewayError):
    status = 401
    title = "The bearer key is missing or not known"


class NotFound(GatewayError):
    status = 404
    title = "No such thing"


class OutcomeConflict(GatewayError):
    status = 409
    title = "The decision already has another outcome"


class BodyTooSlow(GatewayError):
    status = 408
    title = "The request came too slowly"


class BodyTooLarge(GatewayError):
    status = 413
    title = "The request is too large"


class UnsupportedMediaType(GatewayError):
    status = 415
    title = "The request is not plain JSON"


class RowsRefused(GatewayError):
    status = 422
    title = "The rows do not fit the model"


class HeadTooLarge(GatewayError):
    status = 431
    title = "The head of the request is too large"


class PolicyMismatch(GatewayError):
    status = 500
    title = "The policy of this model does not fit the model"


class MindsDBWrong(GatewayError):
    status = 502
    title = "MindsDB gave no usable answer"


class MindsDBDown(GatewayError):
    status = 503
    title = "MindsDB cannot be reached"


class MindsDBRefused(GatewayError):
    status = 503
    title = "MindsDB refuses the gateway's login"


class Busy(GatewayError):
    status = 503
    title = "The gateway has too much to do"


class DecisionLogUnavailable(GatewayError):
    status = 503
    title = "The decision log cannot be written"


class MindsDBSlow(GatewayError):
    status = 504
    title = "MindsDB did not answer in time"


class DecisionLogFull(GatewayError):
    status = 507
    title = "The volume of the decision log is full"


def where(exc: BaseException) -> str:
    """Where a bug showed. Its text is not for a log: that may quote a row."""
    frames = reversed(traceback.extract_tb(exc.__traceback__))
    return " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)


def problem_response(error: GatewayError, request_id: str) -> Response:
    body: dict[str, t.Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": f"urn:request:{request_id}",
    }
    if error.errors:
        body["errors"] = error.errors
    headers = {"x-request-id": request_id}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="gateway"'
    return Response(orjson.dumps(body), error.status, headers, MEDIA_TYPE)


async def http_problem(request: Request, exc: Exception) -> Response:
    """The framework's own 404 and 405, in the same shape."""
    error = t.cast("HTTPException", exc)
    body = {"type": "about:blank", "title": error.detail, "status": error.status_code}
    return Response(orjson.dumps(body), error.status_code, error.headers, MEDIA_TYPE)
