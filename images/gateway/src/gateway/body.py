"""The request's body: bounded while it streams in, then strict JSON, then the shape that the service takes.

Nothing here repeats a value of the body, in a message or in a log.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import typing as t

import orjson
from starlette.requests import ClientDisconnect

from gateway.audit.labels import label_text
from gateway.problems import (
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    Busy,
    GatewayError,
    RowsRefused,
    UnsupportedMediaType,
)

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from starlette.requests import Request

__all__ = ("BodyReader", "PredictionRequest", "parse_outcome", "parse_prediction")

MAX_NAME = 128  # characters of a model's or a column's name
MAX_COLUMNS = 1000
MAX_OUTCOME = 200
SMALL = 8192  # bytes: all requests together can be of this size at any time
T = t.TypeVar("T")
_SCALARS = (str, int, float, bool, type(None))


class Turns:
    """Lets through as much as fits at once, in the order of coming. A row takes thirty times its bytes while it is worked on."""

    def __init__(self, room: int) -> None:
        self._all = self._room = room
        self._waiting: collections.deque[tuple[int, asyncio.Future[None]]] = collections.deque()

    @contextlib.asynccontextmanager
    async def take(self, size: int) -> AsyncIterator[None]:
        size = min(size, self._all)
        if self._waiting or size > self._room:
            await self._wait(size)
        else:
            self._room -= size
        try:
            yield
        finally:
            self._give_back(size)

    async def _wait(self, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._give_back(size)  # it came, and we were stopped at the same moment
            else:
                self._waiting = collections.deque(entry for entry in self._waiting if entry[1] is not turn)
                self._give_back(0)  # who stood behind us may fit
            raise

    def _give_back(self, size: int) -> None:
        self._room += size
        while self._waiting and self._waiting[0][0] <= self._room:
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self._room -= wanted
                turn.set_result(None)


@dataclasses.dataclass
class BodyReader:
    """Bodies up to a size each, a sum of all that are in memory, and a sum of all that are worked on at once."""

    max_bytes: int
    max_sum: int
    max_working: int
    seconds: float
    _held: int = dataclasses.field(default=0, init=False)
    _turns: Turns = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self._turns = Turns(self.max_working)

    def take(self, request: Request) -> Body:
        """The body, while it may be worked on."""
        self._check(dict(request.scope["headers"]))
        return Body(self, request)

    def _check(self, headers: dict[bytes, bytes]) -> None:
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            raise UnsupportedMediaType("Send Content-Type: application/json.")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedMediaType("Send the body without Content-Encoding: it is not unpacked here.")
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.max_bytes:
            raise self._too_large()

    async def within(self, what: str, action: Awaitable[T], error: type[GatewayError]) -> T:
        try:
            async with asyncio.timeout(self.seconds):
                return await action
        except TimeoutError:
            raise error(f"{what} within {self.seconds:g} seconds: send it again.", retry_after=1) from None

    def hold(self, size: int, more: int) -> None:
        if size + more > self.max_bytes:
            raise self._too_large()
        if self._held + more > self.max_sum:
            raise Busy("Too many large requests at once: try again.", retry_after=1)
        self._held += more

    def let_go(self, size: int) -> None:
        self._held -= size

    def turn(self, size: int) -> contextlib.AbstractAsyncContextManager[None]:
        return self._turns.take(size)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"A body may have {self.max_bytes} bytes: send fewer rows in one request.")


class Body:
    """One of them: held from its first byte on, given up with whatever happens to it."""

    def __init__(self, reader: BodyReader, request: Request) -> None:
        self._reader = reader
        self._receive = request.receive
        self._is_here = "whole" in request.scope.get("state", ())  # which spares it a timer
        self._content = bytearray()
        self._turn: contextlib.AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> bytes:
        reader = self._reader
        try:
            if self._is_here:
                await self._fill()
            else:
                await reader.within("The body did not arrive", self._fill(), BodyTooSlow)
            if len(self._content) > SMALL:
                turn = reader.turn(len(self._content))
                await reader.within("Other large requests were not done", turn.__aenter__(), Busy)
                self._turn = turn
        except BaseException:
            reader.let_go(len(self._content))
            raise
        return bytes(self._content)

    async def __aexit__(self, *exc: t.Any) -> None:
        self._reader.let_go(len(self._content))
        if self._turn:
            await self._turn.__aexit__(*exc)

    async def _fill(self) -> None:
        """What `_content` has is what is held for it, to whatever moment this comes."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk = message.get("body", b"")
            self._reader.hold(len(self._content), len(chunk))
            self._content += chunk
            more = message.get("more_body", False)


class PredictionRequest(t.NamedTuple):
    model: str
    rows: list[dict[str, t.Any]]


def parse_prediction(body: bytes, *, max_rows: int, max_string: int) -> PredictionRequest:
    data = _object(body, {"model", "rows"})
    model, rows = data.get("model"), data.get("rows")
    if not isinstance(model, str) or not 0 < len(model) <= MAX_NAME:
        raise BadRequest(f"model must be the name of a model: a text of at most {MAX_NAME} characters.")
    if not isinstance(rows, list) or not rows:
        raise BadRequest("rows must be a list of at least one row, each an object of columns.")
    if len(rows) > max_rows:
        raise BodyTooLarge(f"A request may have {max_rows} rows, this one has {len(rows)}: split it.")
    errors = [error for index, row in enumerate(rows) if (error := _row_error(index, row, max_string))]
    if errors:
        raise RowsRefused("Some rows are not flat objects of plain values: see errors.", errors=errors[:20])
    return PredictionRequest(model, rows)


def parse_outcome(body: bytes) -> str:
    """The outcome as text, as the audit compares it."""
    outcome = _object(body, {"outcome"}).get("outcome")
    try:
        text = label_text(outcome)
    except ValueError:
        text = ""
    if not 0 < len(text) <= MAX_OUTCOME or "\x00" in text:
        raise BadRequest(f"outcome must be a text of 1 to {MAX_OUTCOME} characters, a number, true or false.")
    return text


def _object(body: bytes, known: set[str]) -> dict[str, t.Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        # the parser's own text says what and where, but not which value: NaN, bad UTF-8, too deep, cut off
        raise BadRequest(f"The body is not JSON: {exc.msg} (line {exc.lineno}, column {exc.colno}).") from None
    if not isinstance(data, dict):
        raise BadRequest("The body must be one JSON object.")
    if data.keys() - known:
        raise BadRequest(f"The body may have only these members: {', '.join(sorted(known))}.")
    return data


def _row_error(index: int, row: t.Any, max_string: int) -> dict[str, t.Any] | None:
    if not isinstance(row, dict):
        return {"row": index, "reason": "must be an object of columns"}
    if len(row) > MAX_COLUMNS:
        return {"row": index, "reason": f"may have at most {MAX_COLUMNS} columns"}
    for position, (name, value) in enumerate(row.items()):
        reason = None
        if not 0 < len(name) <= MAX_NAME:
            reason = f"has a name that is empty or longer than {MAX_NAME} characters"
        elif not isinstance(value, _SCALARS):
            reason = "must be a text, a number, true, false or null"
        elif isinstance(value, str) and len(value) > max_string:
            reason = f"is a text longer than {max_string} characters"
        elif isinstance(value, str) and "\x00" in value:
            reason = "holds the character NUL, which no database keeps"
        if reason:
            # by position: a name that the policy does not know may itself be somebody's data
            return {"row": index, "column": position, "reason": reason}
    return None
