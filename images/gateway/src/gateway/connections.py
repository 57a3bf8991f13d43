"""A bound for what a client costs before it has shown a key: how long the head of a request may be and take, and how many there are."""

from __future__ import annotations

import typing as t

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.one_write import OneWrite
from gateway.problems import BadRequest, BodyTooSlow, Busy, GatewayError, HeadTooLarge, problem_response
from gateway.uuid7 import uuid7

if t.TYPE_CHECKING:
    import asyncio

__all__ = ("Connection",)

MAX_HEAD = 16 * 1024
MAX_PIPELINED = 8  # requests that wait until the one before them is answered
SECONDS = 10.0


class Connection(HttpToolsProtocol):
    """uvicorn's own takes a head of any length for any time, on any number of connections.

    Where there are too many, the one that has been idle for longest makes room: probes and clients still come through.
    """

    def __init__(self, *args: t.Any, most: int, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._most = most
        self._loose = 0  # bytes since the last head, piece of a body or end of a request
        self._heard = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # an answer leaves when it is written, and not after what else the loop has to do
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > self._most and not self._make_room():
            self._refuse(Busy("Too many connections are being answered: try again.", retry_after=1))
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expected()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        self._loose += len(data)
        super().data_received(data)
        if self._loose > MAX_HEAD:
            self._refuse(_too_large())
        elif self._loose and self._deadline is None:
            self._expect()

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self.transport.abort()
            raise ValueError  # which ends the parser
        # `_loose` may count a body that came along with the head
        if self._loose > MAX_HEAD and self._head_size() > MAX_HEAD:
            self._refuse(_too_large())
            raise ValueError
        self._loose = 0
        self._expected()
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # to which no body comes
            self.cycle.transport = OneWrite(self.transport, self.cycle)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._loose = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._loose = 0
        self.scope["state"]["whole"] = True  # nobody need wait for its body
        self._expected()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline and not self.transport.is_closing():
            self.flow.pause_reading()  # those that are here come first
        if self.cycle.more_body:  # answered before its end, which nobody waits for any more
            self._expect()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest("This is no HTTP/1.1 request."))

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _expect(self) -> None:
        self._expected()
        self._deadline = self.loop.call_later(SECONDS, self._late)

    def _expected(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        if self._loose:
            self._refuse(BodyTooSlow(f"The head of the request did not arrive within {SECONDS:g} seconds."))
        else:
            self.transport.abort()

    def _refuse(self, error: GatewayError) -> None:
        if self.transport.is_closing():
            return
        if self._is_answering():  # what is written now would be taken for an answer to that
            self.transport.abort()
            return
        response = problem_response(error, uuid7())
        headers = [*response.raw_headers, (b"connection", b"close")]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[error.status] + head + b"\r\n" + bytes(response.body))
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _may_go(self) -> bool:
        """Nothing is being worked out for it. A client that does not read its answer may go as well."""
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_started)

    def _make_room(self) -> bool:
        others = [other for other in self.connections if isinstance(other, Connection) and other is not self]
        if len([other for other in others if not other.transport.is_closing()]) < self._most:
            return True
        idle = [other for other in others if other._may_go()]
        if idle:
            min(idle, key=lambda other: other._heard).transport.abort()
        return bool(idle)


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The head of a request may have {MAX_HEAD} bytes.")
