"""What is asked of MindsDB, and what is made of good, wrong and missing answers. The transport is the test's own."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import typing as t
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import orjson
import pytest

from gateway.metrics import Metrics
from gateway.mindsdb import Column, MindsDB, ModelVersion
from gateway.problems import GatewayError, MindsDBDown, MindsDBRefused, MindsDBSlow, MindsDBWrong, NotFound, RowsRefused

T = t.TypeVar("T")
MODEL = "/api/projects/mindsdb/models/income"
DESCRIBED = {
    "mlflow_model": "income", "mlflow_version": 3, "run_id": "r",
    "columns": '[{"name": "age", "type": "numeric", "required": true}, {"name": "sex", "type": "category", "required": false}]',
}  # fmt: skip


class Server:
    """Answers what the test says, and remembers what it was asked."""

    def __init__(self, answers: dict[str, t.Any] | None = None, valid: str | None = None) -> None:
        self.answers = answers or {}
        self.valid = valid
        self.seen: list[tuple[str, str, t.Any]] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body: t.Any = orjson.loads(request.content) if request.content else None
        path = request.url.raw_path.decode()
        self.seen.append((request.method, path, body))
        await asyncio.sleep(0.01)
        if path == "/api/login":
            if (body["username"], body["password"]) != ("user", "pass"):
                return httpx.Response(401)
            self.valid = "now"
            return httpx.Response(200, headers={"set-cookie": "session=now; Path=/"})
        if self.valid is not None and f"session={self.valid}" not in request.headers.get("cookie", ""):
            return httpx.Response(401)
        answer = self.answers.get(path, httpx.Response(404))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, content=answer if isinstance(answer, bytes) else orjson.dumps(answer))


def ask(
    server: Server, question: Callable[[MindsDB], Awaitable[T]], *, password: str = "pass", seconds: float = 5
) -> T:
    async def run() -> T:
        async with httpx.AsyncClient(base_url="http://mindsdb", transport=httpx.MockTransport(server)) as client:
            return await question(MindsDB(client, lambda: ("user", password), "mindsdb", Metrics(), seconds))

    return asyncio.run(run())


async def predict(mindsdb: MindsDB) -> list[dict[str, t.Any]]:
    return await mindsdb.predict("income", "3", "income", [{"age": 1}, {"age": 2}])


def test_the_active_version() -> None:
    server = Server({MODEL: {"version": 3, "status": "complete", "id": 7, "created_at": "x"}})
    assert ask(server, lambda mindsdb: mindsdb.active("income")) == ("3", "7/x")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"version": 3, "status": "training"}, MindsDBDown),
        ({"version": 3, "status": "error"}, MindsDBWrong),
        ({"version": "3; DROP", "status": "complete"}, MindsDBWrong),
        ({"version": None, "status": "complete"}, MindsDBWrong),
        ({"version": "3" * 100, "status": "complete"}, MindsDBWrong),
        ({"version": 3, "status": "complete", "created_at": "x" * 1000}, MindsDBWrong),
        ([], MindsDBWrong),
        (b"<html>", MindsDBWrong),
        (httpx.Response(404), NotFound),
        (httpx.Response(500), MindsDBWrong),
        (httpx.Response(503), MindsDBDown),
    ],
    ids=str,
)
def test_no_active_version(answer: object, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        ask(Server({MODEL: answer}), lambda mindsdb: mindsdb.active("income"))


def test_the_description() -> None:
    server = Server({f"{MODEL}.3/describe": [DESCRIBED]})
    found = ask(server, lambda mindsdb: mindsdb.describe("income", "3", "7/x"))
    columns = (Column("age", "numeric"), Column("sex", "category", required=False))
    assert found == ModelVersion("3", "7/x", "income", "3", "r", columns)
    assert server.seen[-1] == ("GET", f"{MODEL}.3/describe", {"attribute": "model"})


@pytest.mark.parametrize(
    "changes",
    [{"mindsdb": "4"}, {"identity": "8/y"}, {"mlflow_model": "other"}, {"mlflow_version": "4"}, {"run_id": "s"}],
    ids=str,
)
def test_no_two_versions_share_cached_answers(changes: dict[str, str]) -> None:
    """One run may log two versions of the registry, and a model that is made again starts with the same number."""
    version = ModelVersion("3", "7/x", "income", "3", "r", ())
    assert dataclasses.replace(version, **changes).key != version.key  # type: ignore[arg-type]
    assert version.key.partition("/")[0] == "3"


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        ["x"],
        [{}],
        [{"columns": "{"}],
        [{"columns": [{"type": "x"}]}],
        [{"columns": "7"}],
        [{**DESCRIBED, "run_id": "r" * 1000}],
        [{**DESCRIBED, "columns": [{"name": "x" * 1000}]}],
    ],
    ids=lambda answer: str(answer)[:60],
)
def test_a_description_that_is_none(answer: object) -> None:
    with pytest.raises(MindsDBWrong):
        ask(Server({f"{MODEL}.3/describe": answer}), lambda mindsdb: mindsdb.describe("income", "3", "7/x"))


def test_a_prediction_is_asked_of_the_version_and_keeps_the_target_alone() -> None:
    rows = [
        {"age": 1, "income": ">50K", "income_explain": '{"confidence": 0.9}', "secret": 1},
        {"income": 0, "income_explain": "{"},
    ]
    server = Server({f"{MODEL}.3/predict": rows})
    assert ask(server, predict) == [
        {"income": ">50K", "income_explain": {"confidence": 0.9}},
        {"income": 0, "income_explain": "{"},
    ]
    assert server.seen[-1] == ("POST", f"{MODEL}.3/predict", {"data": [{"age": 1}, {"age": 2}]})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"no JSON", MindsDBWrong),
        (b'[{"income": NaN}, {"income": 1}]', MindsDBWrong),
        ({"income": 1}, MindsDBWrong),
        ([1, 2], MindsDBWrong),
        ([{"income": 1}], MindsDBWrong),
        ([{"income": 1}] * 3, MindsDBWrong),
        ([{"income": 1}, {"other": 1}], MindsDBWrong),
        ([{"income": 1}, {"income": None}], MindsDBWrong),
        ([{"income": 1}, {"income": [1]}], MindsDBWrong),
        (b" " * (128 * 1024) + b"[{}, {}]", MindsDBWrong),
        ([{"income": "x" * 5000}] * 2, MindsDBWrong),
        ([{"income": 1, "income_explain": "x" * 40_000}, {"income": 1}], MindsDBWrong),
        ([{"income": 1, "income_explain": "[" * 500 + "]" * 500}, {"income": 1}], MindsDBWrong),
        (httpx.Response(200, headers={"content-encoding": "gzip"}, content=gzip.compress(b"[]")), MindsDBWrong),
        (httpx.Response(500, json={"detail": "KeyError: x"}), MindsDBWrong),
        (httpx.Response(500, json=["x"]), MindsDBWrong),
        (
            httpx.Response(500, json={"detail": "[tabular/m]: InputError: Column 'age' takes a number\nTrace"}),
            RowsRefused,
        ),
        (httpx.Response(302, headers={"location": "http://elsewhere/"}), MindsDBWrong),
        (httpx.Response(502), MindsDBDown),
        (httpx.ConnectError("no"), MindsDBDown),
        (httpx.ReadError("cut"), MindsDBDown),
        (httpx.RemoteProtocolError("junk"), MindsDBDown),
        (httpx.ReadTimeout("slow"), MindsDBSlow),
    ],
    ids=lambda value: str(value)[:40],
)
def test_no_prediction(answer: object, error: type[GatewayError]) -> None:
    with pytest.raises(error) as caught:
        ask(Server({f"{MODEL}.3/predict": answer}), predict)
    assert "Trace" not in str(caught.value)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("Column 'age' takes a number or null: the value in row 2 is not one.", "the value is not one."),
        (
            "Column 'age' is null in row 12, and the model takes no null there.",
            "Column 'age' is null, and the model takes no null there.",
        ),
    ],
)
def test_a_refusal_has_no_number_of_a_row_that_the_client_counts_otherwise(reason: str, shown: str) -> None:
    server = Server({f"{MODEL}.3/predict": httpx.Response(500, json={"detail": f"[tabular/m]: InputError: {reason}"})})
    with pytest.raises(RowsRefused) as caught:
        ask(server, predict)
    assert str(caught.value).startswith("The model refuses the rows: Column 'age' ")
    assert str(caught.value).endswith(shown)


def test_a_large_answer_to_many_or_large_rows_is_taken() -> None:
    explain = json.dumps({"probabilities": {f"class {number}": 0.123456789 for number in range(80)}})
    many = [{"income": 1, "income_explain": explain} for _ in range(1000)]
    server = Server({f"{MODEL}.3/predict": many})
    rows: list[dict[str, t.Any]] = [{"age": 1}] * 1000
    assert len(ask(server, lambda mindsdb: mindsdb.predict("income", "3", "income", rows))) == 1000
    large = {"note": "é" * 200_000}
    server = Server({f"{MODEL}.3/predict": json.dumps([{**large, "income": 1}]).encode()})
    assert ask(server, lambda mindsdb: mindsdb.predict("income", "3", "income", [large])) == [{"income": 1}]


def test_what_is_too_large_is_not_read_to_its_end() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 65536

    server = Server({f"{MODEL}.3/predict": httpx.Response(200, content=endless())})
    with pytest.raises(MindsDBWrong, match="larger"):
        ask(server, predict)
    assert taken < 5


def test_it_is_not_waited_for_longer_than_allowed() -> None:
    with pytest.raises(MindsDBSlow):
        ask(Server({f"{MODEL}.3/predict": []}), predict, seconds=0.001)


def test_an_expired_session_is_renewed_once_for_all() -> None:
    server = Server({f"{MODEL}.3/predict": [{"income": 1}] * 2}, valid="old")

    async def many(mindsdb: MindsDB) -> None:
        await asyncio.gather(*(predict(mindsdb) for _ in range(6)))
        server.valid = "expired meanwhile"
        await predict(mindsdb)

    ask(server, many)
    assert sum(path == "/api/login" for _, path, _ in server.seen) == 2


def test_a_refused_login_says_which_secret() -> None:
    with pytest.raises(MindsDBRefused, match="Secret") as caught:
        ask(Server(valid="x"), predict, password="wrong")
    assert "wrong" not in str(caught.value)


def test_names_become_one_part_of_the_path() -> None:
    server = Server()
    with pytest.raises(NotFound):
        ask(server, lambda mindsdb: mindsdb.predict("../a'; DROP --", "1", "t", [{}]))
    assert server.seen[-1][1] == "/api/projects/mindsdb/models/..%2Fa%27%3B%20DROP%20--.1/predict"
