"""One key a time, read on connections that are kept.

redis.asyncio makes sure before each command that nothing is left to read on its connection, and starts three timeouts for
it: that takes twice as long as Redis itself. Here it connects and logs in, and then hiredis has the connection to itself.
What fails on a kept connection, which Redis may have closed meanwhile, is tried once more on a new one.
"""

from __future__ import annotations

import asyncio
import typing as t

import hiredis
import redis

if t.TYPE_CHECKING:
    import redis.asyncio

__all__ = ("KeptConnections",)

LONGEST = 60.0  # seconds, with a client that has no timeout


class KeptConnections:
    """Of a client, which also closes them."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._pool: t.Any = client.connection_pool
        self._timeout: float = self._pool.connection_kwargs.get("socket_timeout") or LONGEST
        self._idle: list[_Kept] = []

    async def getrange(self, key: str, last: int) -> object:
        """The bytes of a key from the first to this one; an answer that is an error is returned, not raised."""
        parts: t.Any = ("GETRANGE", key, 0, last)  # hiredis' own type is that of one part
        command = hiredis.pack_command(parts)
        if self._idle:
            try:
                return await self._ask(self._idle.pop(), command)
            except redis.ConnectionError:
                await self._drop_idle()  # most likely closed as well
        async with asyncio.timeout(self._timeout):
            kept = _Kept(await self._pool.get_connection())
        return await self._ask(kept, command)

    async def _ask(self, kept: _Kept, command: bytes) -> object:
        try:
            answer = await kept.ask(command, self._timeout)
        except BaseException:
            await self._give_back(kept)  # whose answer may still come
            raise
        self._idle.append(kept)
        return answer

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._give_back(self._idle.pop())

    async def _give_back(self, kept: _Kept) -> None:
        """Closed: the pool connects it anew for whoever is next."""
        await kept.connection.disconnect(nowait=True)
        await self._pool.release(kept.connection)


class _Kept(asyncio.Protocol):
    """A connection that is there, in the place of the streams that redis.asyncio reads it with. One question at a time."""

    def __init__(self, connection: t.Any) -> None:
        self.connection = connection
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(protocolError=redis.InvalidResponse, replyError=redis.ResponseError)
        self._answer: asyncio.Future[object] | None = None
        self._transport: asyncio.Transport = connection._writer.transport
        self._streams = self._transport.get_protocol()
        self._transport.set_protocol(self)
        self._transport.set_write_buffer_limits(high=0)  # so that what is written leaves at once

    async def ask(self, command: bytes, seconds: float) -> object:
        if self._transport.is_closing():
            raise redis.ConnectionError
        self._answer = self._loop.create_future()
        self._transport.write(command)
        timer = self._loop.call_later(seconds, self._fail, redis.TimeoutError())
        try:
            return await self._answer
        finally:
            timer.cancel()
            self._answer = None

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            answer = self._reader.gets()
        except redis.InvalidResponse as exc:
            self._fail(exc)
            self._transport.abort()
            return
        if answer is False:  # not all of it yet
            return
        if self._answer is None:  # nobody asked
            self._transport.abort()
        elif not self._answer.done():
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(redis.ConnectionError())
        self._streams.connection_lost(exc)  # for which redis.asyncio waits when it closes

    def _fail(self, exc: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc)
