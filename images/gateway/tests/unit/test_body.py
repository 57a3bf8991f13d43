"""What a body may be. No error may repeat what was sent."""

from __future__ import annotations

import asyncio
import typing as t

import orjson
import pytest
from starlette.requests import Request

from gateway.body import BodyReader, parse_outcome, parse_prediction
from gateway.problems import (
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    Busy,
    GatewayError,
    RowsRefused,
    UnsupportedMediaType,
)

SECRET = "hunter2"
LIMITS = {"max_rows": 3, "max_string": 20}


def body(**members: object) -> bytes:
    return orjson.dumps(members)


def nested(depth: int) -> bytes:
    return b'{"model": "m", "rows": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"", BadRequest, id="nothing"),
        pytest.param(b"{", BadRequest, id="cut off"),
        pytest.param(b'{"model": "\xff"}', BadRequest, id="invalid UTF-8"),
        pytest.param(b'{"model": "m", "rows": [{"a": NaN}]}', BadRequest, id="NaN"),
        pytest.param(b'{"model": "m", "rows": [{"a": Infinity}]}', BadRequest, id="Infinity"),
        pytest.param(b'{"model": "m", "rows": [{"a": 1e999}]}', BadRequest, id="a number that is infinite"),
        pytest.param(b'{"model": "m", "rows": [{"a": "\\ud800"}]}', BadRequest, id="half a surrogate pair"),
        pytest.param(nested(100_000), BadRequest, id="deep JSON"),
        pytest.param(nested(500), RowsRefused, id="less deep JSON"),
        pytest.param(b"[1]", BadRequest, id="no object"),
        pytest.param(body(model="m", rows=[{}], sql=SECRET), BadRequest, id="unknown member"),
        pytest.param(body(rows=[{}]), BadRequest, id="no model"),
        pytest.param(body(model=1, rows=[{}]), BadRequest, id="model is a number"),
        pytest.param(body(model="m" * 129, rows=[{}]), BadRequest, id="long model"),
        pytest.param(body(model="m"), BadRequest, id="no rows"),
        pytest.param(body(model="m", rows=[]), BadRequest, id="empty rows"),
        pytest.param(body(model="m", rows={"a": SECRET}), BadRequest, id="rows is one row"),
        pytest.param(body(model="m", rows=[{}] * 4), BodyTooLarge, id="too many rows"),
        pytest.param(body(model="m", rows=[SECRET]), RowsRefused, id="row is a text"),
        pytest.param(body(model="m", rows=[{"a": [SECRET]}]), RowsRefused, id="list in a row"),
        pytest.param(body(model="m", rows=[{"a": {SECRET: 1}}]), RowsRefused, id="object in a row"),
        pytest.param(body(model="m", rows=[{SECRET * 50: 1}]), RowsRefused, id="long column name"),
        pytest.param(body(model="m", rows=[{"a": SECRET * 10}]), RowsRefused, id="long text"),
        pytest.param(body(model="m", rows=[{"a": SECRET + "\x00"}]), RowsRefused, id="NUL in a text"),
        pytest.param(body(model="m", rows=[{str(n): 1 for n in range(1001)}]), RowsRefused, id="many columns"),
    ],
)
def test_bad_predictions_are_refused_without_repeating_them(data: bytes, error: type[GatewayError]) -> None:
    with pytest.raises(error) as caught:
        parse_prediction(data, **LIMITS)
    assert SECRET not in str(caught.value) + str(caught.value.errors)


def test_a_good_prediction_is_taken_as_it_is() -> None:
    asked = parse_prediction(
        body(model="m", rows=[{"a": 1.5, "b": None, "c": "x'; DROP TABLE y; --", "d": True}]), **LIMITS
    )
    assert (asked.model, asked.rows) == ("m", [{"a": 1.5, "b": None, "c": "x'; DROP TABLE y; --", "d": True}])


@pytest.mark.parametrize(("given", "text"), [(">50K", ">50K"), (1, "1"), (1.0, "1"), (0.5, "0.5"), (True, "true")])
def test_an_outcome_becomes_the_audits_text(given: object, text: str) -> None:
    assert parse_outcome(body(outcome=given)) == text


@pytest.mark.parametrize("given", [None, [], {}, "", "x" * 201, "a\x00b"])
def test_other_outcomes_are_refused(given: object) -> None:
    with pytest.raises(BadRequest):
        parse_outcome(body(outcome=given))


def request(
    chunks: list[bytes], headers: dict[str, str] | None = None, pause: float = 0, state: dict[str, bool] | None = None
) -> tuple[Request, list[int]]:
    left = list(chunks)
    taken = [0]

    async def receive() -> dict[str, t.Any]:
        await asyncio.sleep(pause)
        taken[0] += 1
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    given = {"content-type": "application/json", **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw, "state": state or {}}
    return Request(scope, receive), taken


async def taken_by(reader: BodyReader, asked: Request) -> bytes:
    async with reader.take(asked) as body:
        await asyncio.sleep(0)
        return body


def read(reader: BodyReader, *args: t.Any, **kwargs: t.Any) -> bytes:
    return asyncio.run(taken_by(reader, request(*args, **kwargs)[0]))


def test_a_body_in_pieces_is_put_together() -> None:
    assert read(BodyReader(10, 100, 100, 1), [b"abc", b"", b"def"]) == b"abcdef"


def test_reading_stops_at_the_limit_and_not_at_the_end() -> None:
    asked, taken = request([b"x" * 6] * 1000)
    with pytest.raises(BodyTooLarge):
        asyncio.run(taken_by(BodyReader(10, 100, 100, 1), asked))
    assert taken == [2]


def test_a_declared_length_is_refused_before_a_byte_is_read() -> None:
    asked, taken = request([b"x"], {"content-length": "11"})
    with pytest.raises(BodyTooLarge):
        asyncio.run(taken_by(BodyReader(10, 100, 100, 1), asked))
    assert taken == [0]


@pytest.mark.parametrize(
    "headers", [{"content-type": "text/plain"}, {"content-type": ""}, {"content-encoding": "gzip"}], ids=str
)
def test_what_is_not_plain_json_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMediaType):
        read(BodyReader(10, 100, 100, 1), [b"{}"], headers)


def test_a_slow_body_is_given_up() -> None:
    with pytest.raises(BodyTooSlow):
        read(BodyReader(10, 100, 100, 0.05), [b"a"] * 5, pause=0.03)


def test_one_that_is_there_as_a_whole_needs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[float] = []
    start = asyncio.timeout

    def timeout(seconds: float) -> asyncio.Timeout:
        timers.append(seconds)
        return start(seconds)

    monkeypatch.setattr(asyncio, "timeout", timeout)
    whole = {"state": {"whole": True}}
    assert read(BodyReader(10, 100, 100, 1), [b"abc", b"def"], **whole) == b"abcdef"
    with pytest.raises(BodyTooLarge):
        read(BodyReader(5, 100, 100, 1), [b"abc", b"def"], **whole)
    assert timers == []
    assert read(BodyReader(10, 100, 100, 1), [b"abc", b"def"]) == b"abcdef"
    assert timers == [1]


def test_all_bodies_together_have_a_limit_which_is_given_back() -> None:
    async def both() -> list[object]:
        reader = BodyReader(10, 15, 100, 1)
        results = await asyncio.gather(
            *(taken_by(reader, request([b"x" * 9, b"x"], pause=0.01)[0]) for _ in range(2)), return_exceptions=True
        )
        return [*results, await taken_by(reader, request([b"x" * 10])[0])]

    first, second, after = asyncio.run(both())
    assert {type(first), type(second)} == {bytes, Busy}
    assert after == b"x" * 10


def test_large_bodies_are_worked_on_in_turn_and_small_ones_at_once() -> None:
    large, small = b"x" * 10_000, b"x" * 100

    async def run() -> tuple[int, list[bytes]]:
        reader = BodyReader(10_000, 10**6, 25_000, 5)
        running = most = 0

        async def work(content: bytes) -> bytes:
            nonlocal running, most
            async with reader.take(request([content])[0]) as body:
                running += len(body) == len(large)
                most = max(most, running)
                await asyncio.sleep(0.01)
                running -= len(body) == len(large)
                return body

        done = await asyncio.gather(*(work(content) for content in [large] * 7 + [small] * 7))
        return most, done

    most, done = asyncio.run(run())
    assert most == 2
    assert sorted(map(len, done)) == [100] * 7 + [10_000] * 7


def test_who_waits_too_long_is_told_and_holds_up_nobody() -> None:
    async def run() -> list[object]:
        reader = BodyReader(10_000, 10**6, 10_000, 0.05)

        async def work(seconds: float) -> bytes:
            async with reader.take(request([b"x" * 10_000])[0]) as body:
                await asyncio.sleep(seconds)
                return body

        first = asyncio.create_task(work(0.2))
        await asyncio.sleep(0.01)
        late = await asyncio.gather(*(work(0) for _ in range(3)), return_exceptions=True)
        return [*late, await first, await work(0)]

    results = asyncio.run(run())
    assert [type(result) for result in results] == [Busy, Busy, Busy, bytes, bytes]
