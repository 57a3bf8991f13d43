"""`PredictionCache(...).predict(model, row)`: ask Redis first, the model at most once, and never fail because of the cache.

    cache = PredictionCache(connect("redis://redis:6379", password=...), predict=ask_mindsdb, version_of=active_version)
    cache.predict("income", {"age": 39, "hours": 40}).value

What it promises, the same for threads (`PredictionCache`) and for asyncio (`AsyncPredictionCache`):
- The model, the cache and the key see the anonymised row only.
- The version of the model is part of the key and of the entry: a new version never answers from the entries of an old one.
- An entry answers for its own key alone. With `CacheStore(client, secret)` in the place of the client, nobody without the secret makes one.
- Equal rows that are asked for at the same time, in one batch or in several, cost one prediction. Where that fails with rows
  that a request has not asked for, the request asks once more for its own.
- With Redis down, full or shut to us the model is asked, and `Prediction.warning` says so; after a failure Redis is left alone
  for `RETRY_AFTER` seconds, so that nobody waits for a timeout twice.
"""

from __future__ import annotations

import asyncio
import threading
import typing as t
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import redis
import redis.asyncio

from gateway.breaker import Breaker
from gateway.canonical import NotCanonicalError, settle, settled_key
from gateway.entry import Entry
from gateway.store import AsyncCacheStore, CacheStore, CacheUnavailable, connect, connect_async

__all__ = (
    "AsyncCacheStore", "AsyncPredictionCache", "BadAnswerError", "CacheStore", "CacheUnavailable", "Entry", "Prediction",
    "PredictionCache", "connect", "connect_async",
)  # fmt: skip

Row = Mapping[str, t.Any]
Output = Mapping[str, t.Any]
Anonymise = Callable[[str, Row], Row]

RETRY_AFTER = 5.0


class BadAnswerError(Exception):
    """The model's answer is none: another number of rows than was asked for, or no JSON."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one row: `value`, by which version, and whether it came from the cache.

    `row` is what the model was asked, so anonymised. `warning` says why there is no cache just now; the answer is right all the same.
    """

    value: Output
    version: str
    cached: bool
    key: str
    row: Row
    warning: str | None = None


class _Answer(t.NamedTuple):
    """What is brought back for one key."""

    output: Output
    cached: bool
    warning: str | None = None


class _Abandoned(Exception):  # noqa: N818 - nobody sees it
    """Who was asking was stopped before there was an answer: ask yourself."""


class _Flight(t.NamedTuple):
    """Keys that one caller asks for, on behalf of all who want them meanwhile."""

    model: str
    version: str
    rows: Mapping[str, Row]
    ttl: float

    def hits(self, entries: Sequence[Entry | None]) -> dict[str, _Answer]:
        """An entry of another model or version under this key is none: somebody else wrote it."""
        return {
            key: _Answer(entry.output, cached=True)
            for key, entry in zip(self.rows, entries, strict=True)
            if entry is not None and (entry.model, entry.version) == (self.model, self.version)
        }

    def without(self, found: Mapping[str, object]) -> _Flight:
        return _Flight(self.model, self.version, {k: row for k, row in self.rows.items() if k not in found}, self.ttl)

    def is_part_of(self, other: _Flight) -> bool:
        return self.rows.keys() <= other.rows.keys()

    def entries(self, outputs: Sequence[Output]) -> dict[str, Entry]:
        if len(outputs) != len(self.rows):
            raise BadAnswerError(f"model {self.model} gave {len(outputs)} answers for {len(self.rows)} rows")
        return {key: self._entry(output) for key, output in zip(self.rows, outputs, strict=True)}

    def _entry(self, output: Output) -> Entry:
        if not isinstance(output, Mapping):
            raise BadAnswerError(f"model {self.model} gave an answer that is no mapping of columns to values")
        try:
            return Entry(self.model, self.version, settle(output))
        except NotCanonicalError as exc:
            raise BadAnswerError(f"model {self.model} gave an answer that JSON cannot carry: {exc}") from exc


_Future = t.TypeVar("_Future", "Future[_Answer]", "asyncio.Future[_Answer]")


class _Seat(t.NamedTuple, t.Generic[_Future]):
    """What brings one key, and all that flies with it: any of that may be what a failure is about."""

    future: _Future
    flight: _Flight


class _Common:
    """What both caches share: everything but the waiting."""

    def __init__(self, *, anonymise: Anonymise | None, ttl: float | Callable[[str], float], retry_after: float) -> None:
        self._anonymise = anonymise or (lambda _model, row: row)
        self._ttl = ttl if callable(ttl) else (lambda _model: ttl)
        self._breaker = Breaker(retry_after)

    def _request(self, model: str, version: str, rows: Sequence[Row]) -> tuple[list[str], _Flight]:
        settled = [settle(self._anonymise(model, row)) for row in rows]
        return self._flight(settle(model), settle(version), settled)

    def _flight(self, model: str, version: str, rows: Sequence[Row]) -> tuple[list[str], _Flight]:
        """Of what is settled already."""
        keys = [settled_key(model, version, row) for row in rows]
        return keys, _Flight(model, version, dict(zip(keys, rows, strict=True)), self._ttl(model))

    def _failed(self, exc: CacheUnavailable) -> str:
        if not exc.writes_only:
            self._breaker.failed(str(exc))
        return str(exc)


def _predictions(keys: Sequence[str], flight: _Flight, answers: Mapping[str, _Answer]) -> list[Prediction]:
    return [
        Prediction(
            (answer := answers[key]).output, flight.version, answer.cached, key, flight.rows[key], answer.warning
        )
        for key in keys
    ]


def _seats(flying: Mapping[str, _Seat[_Future]], whole: _Flight, *, strict: bool) -> dict[str, _Seat[_Future]]:
    """Where others bring what is wanted; `strict`: where they bring nothing else, so that their failure would be ours as well."""
    return {
        key: seat
        for key in whole.rows
        if (seat := flying.get(key)) is not None and (not strict or seat.flight.is_part_of(whole))
    }


class PredictionCache(_Common):
    """For threads. `predict(model, version, rows)` asks the model; `version_of(model)` says which version is active now."""

    def __init__(
        self,
        client: redis.Redis | CacheStore,
        predict: Callable[[str, str, Sequence[Row]], Sequence[Output]],
        version_of: Callable[[str], str],
        *,
        anonymise: Anonymise | None = None,
        ttl: float | Callable[[str], float] = 3600,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        super().__init__(anonymise=anonymise, ttl=ttl, retry_after=retry_after)
        self._store = client if isinstance(client, CacheStore) else CacheStore(client)
        self._ask = predict
        self._version_of = version_of
        self._lock = threading.Lock()
        self._flying: dict[str, _Seat[Future[_Answer]]] = {}

    def predict(self, model: str, row: Row) -> Prediction:
        return self.predict_many(model, [row])[0]

    def predict_many(self, model: str, rows: Sequence[Row]) -> list[Prediction]:
        """One prediction a row, in the order of the rows."""
        keys, whole = self._request(model, self._version_of(model), rows)
        answers: dict[str, _Answer] = {}
        strict = False
        while (rest := whole.without(answers)).rows:
            flight, mine, theirs = self._board(rest, strict=strict)
            if mine:
                self._fly(flight, mine)
            answers |= {key: future.result() for key, future in mine.items()}
            for key, seat in theirs.items():
                try:
                    answers[key] = seat.future.result()
                except _Abandoned:
                    continue
                except Exception:
                    if seat.flight.is_part_of(rest):
                        raise
                    strict = True
        return _predictions(keys, whole, answers)

    def _board(
        self, whole: _Flight, *, strict: bool
    ) -> tuple[_Flight, dict[str, Future[_Answer]], dict[str, _Seat[Future[_Answer]]]]:
        with self._lock:
            theirs = _seats(self._flying, whole, strict=strict)
            flight = whole.without(theirs)
            mine: dict[str, Future[_Answer]] = {key: Future() for key in flight.rows}
            self._flying.update({key: _Seat(future, flight) for key, future in mine.items()})
        return flight, mine, theirs

    def _fly(self, flight: _Flight, mine: Mapping[str, Future[_Answer]]) -> None:
        try:
            found, warning = self._look_up(flight)
            self._land(mine, found)
            missing = flight.without(found)
            if missing.rows:
                entries = missing.entries(self._ask(flight.model, flight.version, list(missing.rows.values())))
                warning = self._write(entries, flight.ttl) or warning
                self._land(mine, {k: _Answer(e.output, cached=False, warning=warning) for k, e in entries.items()})
        except Exception as exc:
            self._crash(mine, exc)
            raise
        except BaseException:
            self._crash(mine, _Abandoned())
            raise

    def _look_up(self, flight: _Flight) -> tuple[dict[str, _Answer], str | None]:
        if flight.ttl <= 0 or (reason := self._breaker.reason):
            return {}, None if flight.ttl <= 0 else reason
        try:
            entries = self._store.get_many(list(flight.rows))
        except CacheUnavailable as exc:
            return {}, self._failed(exc)
        self._breaker.worked()
        return flight.hits(entries), None

    def _write(self, entries: Mapping[str, Entry], ttl: float) -> str | None:
        if ttl <= 0 or self._breaker.reason:
            return None
        try:
            self._store.put_many(entries, ttl)
        except CacheUnavailable as exc:
            return self._failed(exc)
        return None

    def _land(self, mine: Mapping[str, Future[_Answer]], answers: Mapping[str, _Answer]) -> None:
        with self._lock:
            for key in answers:
                self._flying.pop(key, None)
        for key, answer in answers.items():
            mine[key].set_result(answer)

    def _crash(self, mine: Mapping[str, Future[_Answer]], exc: Exception) -> None:
        waiting = {key: future for key, future in mine.items() if not future.done()}
        with self._lock:
            for key in waiting:
                self._flying.pop(key, None)
        for future in waiting.values():
            future.set_exception(exc)


class AsyncPredictionCache(_Common):
    """For asyncio, one event loop. `predict` and `version_of` are coroutine functions.

    A flight is a task of its own: a caller that goes away stops neither the question nor the others who wait for its answer.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis | AsyncCacheStore,
        predict: Callable[[str, str, Sequence[Row]], Awaitable[Sequence[Output]]],
        version_of: Callable[[str], Awaitable[str]],
        *,
        anonymise: Anonymise | None = None,
        ttl: float | Callable[[str], float] = 3600,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        super().__init__(anonymise=anonymise, ttl=ttl, retry_after=retry_after)
        self._store = client if isinstance(client, AsyncCacheStore) else AsyncCacheStore(client)
        self._ask = predict
        self._version_of = version_of
        self._flying: dict[str, _Seat[asyncio.Future[_Answer]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def predict(self, model: str, row: Row) -> Prediction:
        return (await self.predict_many(model, [row]))[0]

    async def predict_many(
        self, model: str, rows: Sequence[Row], *, version: str | None = None, settled: bool = False
    ) -> list[Prediction]:
        """One prediction a row, in the order of the rows, by this version of the model or by the active one.

        `settled`: all of it is, and the rows are anonymised as well.
        """
        version = version or await self._version_of(model)
        keys, whole = (self._flight if settled else self._request)(model, version, rows)
        if self._flying.keys().isdisjoint(whole.rows):
            # mostly all is there, and needs no task of its own; a flight looks again, so nothing is asked for twice
            found, _ = await self._look_up(whole)
            if len(found) == len(whole.rows):
                return _predictions(keys, whole, found)
        answers = await self._bring(whole)
        if len(answers) < len(whole.rows):
            answers |= await self._bring(whole.without(answers), strict=True)
        return _predictions(keys, whole, answers)

    async def _bring(self, whole: _Flight, *, strict: bool = False) -> dict[str, _Answer]:
        """Without what failed together with rows of others: it may be theirs that do not fit."""
        seats = self._board(whole, strict=strict)
        if seats:
            # which leaves the futures alone when this caller is cancelled
            await asyncio.wait([seat.future for seat in seats.values()])
        return {
            key: seat.future.result()
            for key, seat in seats.items()
            if seat.future.exception() is None or seat.flight.is_part_of(whole)
        }

    def _board(self, whole: _Flight, *, strict: bool) -> dict[str, _Seat[asyncio.Future[_Answer]]]:
        theirs = _seats(self._flying, whole, strict=strict)
        flight = whole.without(theirs)
        loop = asyncio.get_running_loop()
        mine: dict[str, asyncio.Future[_Answer]] = {key: loop.create_future() for key in flight.rows}
        seats = {key: _Seat(future, flight) for key, future in mine.items()}
        if mine:
            self._flying.update(seats)
            task = loop.create_task(self._fly(flight, mine))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return {**seats, **theirs}

    async def _fly(self, flight: _Flight, mine: Mapping[str, asyncio.Future[_Answer]]) -> None:
        try:
            found, warning = await self._look_up(flight)
            self._land(mine, found)
            missing = flight.without(found)
            if missing.rows:
                entries = missing.entries(await self._ask(flight.model, flight.version, list(missing.rows.values())))
                warning = await self._write(entries, flight.ttl) or warning
                self._land(mine, {k: _Answer(e.output, cached=False, warning=warning) for k, e in entries.items()})
        except Exception as exc:  # raised where the answer is waited for
            self._crash(mine, exc)
        except BaseException:
            for key, future in mine.items():
                self._flying.pop(key, None)
                future.cancel()
            raise

    async def _look_up(self, flight: _Flight) -> tuple[dict[str, _Answer], str | None]:
        if flight.ttl <= 0 or (reason := self._breaker.reason):
            return {}, None if flight.ttl <= 0 else reason
        try:
            entries = await self._store.get_many(list(flight.rows))
        except CacheUnavailable as exc:
            return {}, self._failed(exc)
        self._breaker.worked()
        return flight.hits(entries), None

    async def _write(self, entries: Mapping[str, Entry], ttl: float) -> str | None:
        if ttl <= 0 or self._breaker.reason:
            return None
        try:
            await self._store.put_many(entries, ttl)
        except CacheUnavailable as exc:
            return self._failed(exc)
        return None

    def _land(self, mine: Mapping[str, asyncio.Future[_Answer]], answers: Mapping[str, _Answer]) -> None:
        for key, answer in answers.items():
            self._flying.pop(key, None)
            mine[key].set_result(answer)

    def _crash(self, mine: Mapping[str, asyncio.Future[_Answer]], exc: Exception) -> None:
        for key, future in mine.items():
            if not future.done():
                self._flying.pop(key, None)
                future.set_exception(exc)
                future.exception()  # looked at here, for all who wait may be gone
