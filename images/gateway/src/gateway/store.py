"""Predictions in Redis: bounded reads, one round trip a batch, and one error for whatever Redis cannot do just now.

Both stores do the same, one for threads and one for asyncio. Neither knows a model: they take keys and give entries. With a
`secret` of up to 64 bytes, which all who share the cache must have, only what was written with it is an entry.
"""

from __future__ import annotations

import random
import typing as t
from collections.abc import Awaitable, Callable, Mapping, Sequence

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from gateway.entry import MAX_ENTRY_BYTES, MAX_SECRET, Entry

__all__ = ("AsyncCacheStore", "CacheStore", "CacheUnavailable", "connect", "connect_async", "spread")

# A cache that needs longer than this to answer saves nobody any time.
TIMEOUT = 0.5
# So that entries written together do not all end together, and are not all asked for anew in one second.
JITTER = 0.1


class CacheUnavailable(Exception):  # noqa: N818 - said of the cache, not of the caller
    """Redis did not do what it was asked. `writes_only`: it still reads (it is full), so what is cached goes on."""

    def __init__(self, reason: str, *, writes_only: bool = False) -> None:
        super().__init__(reason)
        self.writes_only = writes_only


def connect(url: str, *, password: str | None = None, timeout: float = TIMEOUT) -> redis.Redis:
    """A client for `CacheStore`: short timeouts and no retries, since the way out is to predict without a cache."""
    client: redis.Redis = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **_options(password, timeout))
    return client


def connect_async(url: str, *, password: str | None = None, timeout: float = TIMEOUT) -> redis.asyncio.Redis:
    """The same for `AsyncCacheStore`."""
    options = _options(password, timeout)
    client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), 0), **options)
    return client


def _options(password: str | None, timeout: float) -> dict[str, t.Any]:
    return {
        "password": password,
        "socket_connect_timeout": timeout,
        "socket_timeout": timeout,
        "client_name": "gateway",
        "decode_responses": False,
        # one command less on each new connection
        "lib_name": None,
        "lib_version": None,
    }


def spread(ttl: float) -> int:
    """The time to live of one entry in milliseconds: `ttl` seconds, give or take a tenth."""
    return max(1, round(ttl * 1000 * random.uniform(1 - JITTER, 1 + JITTER)))  # noqa: S311 - nothing to guess here


class CacheStore:
    def __init__(self, client: redis.Redis, secret: bytes = b"") -> None:
        self._client = client
        self._secret = _usable(secret)

    def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entry of each key; None where there is none or something else."""
        if not keys:
            return []
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                _read(pipeline, keys)
                return _entries(keys, pipeline.execute(raise_on_error=False), self._secret)
        except (redis.RedisError, OSError) as exc:
            raise _unavailable(exc) from exc

    def put_many(self, entries: Mapping[str, Entry], ttl: float) -> None:
        """Write entries that end after `ttl` seconds, give or take. What is too large for the cache is left out."""
        documents = _documents(entries, self._secret)
        if not documents:
            return
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                _write(pipeline, documents, ttl)
                _check(pipeline.execute(raise_on_error=False))
        except (redis.RedisError, OSError) as exc:
            raise _unavailable(exc) from exc

    def ping(self) -> None:
        try:
            self._client.ping()
        except (redis.RedisError, OSError) as exc:
            raise _unavailable(exc) from exc


class AsyncCacheStore:
    def __init__(
        self,
        client: redis.asyncio.Redis,
        secret: bytes = b"",
        read: Callable[[str, int], Awaitable[object]] | None = None,
    ) -> None:
        """`read`: what is faster than the client for the first bytes of a lone key, as `KeptConnections.getrange`."""
        self._client = client
        self._secret = _usable(secret)
        self._read = read

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entry of each key; None where there is none or something else."""
        if not keys:
            return []
        try:
            if len(keys) == 1 and self._read:
                return _entries(keys, [await self._read(keys[0], MAX_ENTRY_BYTES)], self._secret)
            async with self._client.pipeline(transaction=False) as pipeline:
                _read(pipeline, keys)
                return _entries(keys, await pipeline.execute(raise_on_error=False), self._secret)
        except (redis.RedisError, OSError) as exc:
            raise _unavailable(exc) from exc

    async def put_many(self, entries: Mapping[str, Entry], ttl: float) -> None:
        """Write entries that end after `ttl` seconds, give or take. What is too large for the cache is left out."""
        documents = _documents(entries, self._secret)
        if not documents:
            return
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                _write(pipeline, documents, ttl)
                _check(await pipeline.execute(raise_on_error=False))
        except (redis.RedisError, OSError) as exc:
            raise _unavailable(exc) from exc

    async def ping(self) -> None:
        try:
            await self._client.ping()
        except (redis.RedisError, OSError) as exc:
            raise _unavailable(exc) from exc


def _usable(secret: bytes) -> bytes:
    if len(secret) > MAX_SECRET:
        raise ValueError(f"the secret of the cache has {len(secret)} bytes; it may have {MAX_SECRET}")
    return secret


def _read(pipeline: t.Any, keys: Sequence[str]) -> None:
    for key in keys:
        # not GET: whoever can write to Redis could otherwise make us read 512 MB
        pipeline.getrange(key, 0, MAX_ENTRY_BYTES)


def _write(pipeline: t.Any, documents: Mapping[str, bytes], ttl: float) -> None:
    for key, document in documents.items():
        pipeline.set(key, document, px=spread(ttl))


def _entries(keys: Sequence[str], answers: Sequence[object], secret: bytes) -> list[Entry | None]:
    # a key of another type answers WRONGTYPE: it is as good as absent, and the next write replaces it
    _check([answer for answer in answers if not _is_wrong_type(answer)])
    return [
        Entry.decode(answer, key, secret) if isinstance(answer, bytes) else None
        for key, answer in zip(keys, answers, strict=True)
    ]


def _is_wrong_type(answer: object) -> bool:
    return isinstance(answer, redis.ResponseError) and str(answer).startswith(("WRONGTYPE", "Operation against a key"))


def _check(answers: t.Iterable[object]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer


def _documents(entries: Mapping[str, Entry], secret: bytes) -> dict[str, bytes]:
    documents = {key: entry.encode(key, secret) for key, entry in entries.items()}
    return {key: document for key, document in documents.items() if len(document) <= MAX_ENTRY_BYTES}


def _unavailable(exc: Exception) -> CacheUnavailable:
    if isinstance(exc, redis.exceptions.OutOfMemoryError):
        return CacheUnavailable("Redis is full and takes no new entries (maxmemory)", writes_only=True)
    if isinstance(exc, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return CacheUnavailable("Redis refused the password or user")
    if isinstance(exc, redis.ReadOnlyError):
        return CacheUnavailable("Redis is a read-only replica", writes_only=True)
    if isinstance(exc, redis.TimeoutError | TimeoutError):
        return CacheUnavailable("Redis did not answer in time")
    if isinstance(exc, redis.ConnectionError | OSError):
        return CacheUnavailable("Redis cannot be reached")
    # its first word is Redis' own name of the error; the rest could repeat data
    return CacheUnavailable(f"Redis answered with an error ({str(exc).split(' ')[0]})")
