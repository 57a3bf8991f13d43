"""One key a time, read on connections that are kept.

redis.asyncio's pool makes sure before each command that nothing is left to read on its connection, and starts three timeouts
for it: that takes twice as long as Redis itself. Here one timeout stands around all, and what fails on a kept connection, which
Redis may have closed meanwhile, is tried once more on a new one.
"""

from __future__ import annotations

import asyncio
import typing as t

import redis

if t.TYPE_CHECKING:
    import redis.asyncio

__all__ = ("KeptConnections",)


class KeptConnections:
    """Of a client, which also closes them."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._pool: t.Any = client.connection_pool
        self._timeout: float | None = self._pool.connection_kwargs.get("socket_timeout")
        self._idle: list[t.Any] = []

    async def getrange(self, key: str, last: int) -> object:
        """The bytes of a key from the first to this one; an answer that is an error is returned, not raised."""
        command = _packed(b"GETRANGE", key.encode(), b"0", b"%d" % last)
        async with asyncio.timeout(self._timeout):
            if self._idle:
                try:
                    return await self._ask(self._idle.pop(), command)
                except (redis.ConnectionError, OSError):
                    await self._drop_idle()  # most likely closed as well
            return await self._ask(await self._connect(), command)

    async def _connect(self) -> t.Any:
        connection = await self._pool.get_connection()
        connection.socket_timeout = None  # ours is around all
        return connection

    async def _ask(self, connection: t.Any, command: bytes) -> object:
        try:
            await connection.send_packed_command(command, check_health=False)
            answer: object = await connection.read_response()
        except redis.ResponseError as exc:
            answer = exc
        except BaseException:
            await self._give_back(connection)  # whose answer may still come
            raise
        self._idle.append(connection)
        return answer

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._give_back(self._idle.pop())

    async def _give_back(self, connection: t.Any) -> None:
        """Closed: the pool connects it anew for whoever is next."""
        await connection.disconnect(nowait=True)
        connection.socket_timeout = self._timeout
        await self._pool.release(connection)


def _packed(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
