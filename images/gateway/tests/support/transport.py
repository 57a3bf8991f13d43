"""A transport for protocols under test: it keeps what is written, and tells its protocol when it is closed, as the loop does."""

from __future__ import annotations

import asyncio
import re
import typing as t


class Transport(asyncio.Transport):
    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self._protocol = protocol
        self._closing = False
        protocol.connection_made(self)

    def write(self, data: t.Any) -> None:
        assert not self._closing
        self.writes.append(bytes(data))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    def answers(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", self.sent)]
