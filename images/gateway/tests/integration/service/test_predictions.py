"""The service as a client meets it: a real process, a real Redis, and a MindsDB that can be told to fail."""

from __future__ import annotations

import re
import signal
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from ..conftest import RedisServer
from .conftest import Make
from .processes import RAW, ROW, Gateway, MindsDB, wait_for


def problem(answer: httpx.Response, status: int) -> dict[str, t.Any]:
    """The body of an error, which must be a problem of this status and repeat nothing of a row."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, t.Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert not [raw for raw in RAW if raw in answer.content]
    return body


def test_a_miss_then_a_hit_with_the_same_output_and_two_decisions(gateway: Gateway, mindsdb: MindsDB) -> None:
    first, second = gateway.predict(ROW).json(), gateway.predict(ROW).json()
    version = str(mindsdb.version)
    assert first["model_version"] == {
        "mindsdb": version, "mlflow_model": "income", "mlflow_version": version, "run_id": f"run{version}"
    }  # fmt: skip
    [miss], [hit] = first["predictions"], second["predictions"]
    assert (miss["cached"], hit["cached"], len(mindsdb.rows)) == (False, True, 1)
    assert miss["output"] == hit["output"] == {"income": f">40K by {version}"}
    decision = gateway.get(f"/v1/decisions/{hit['decision_id']}").json()
    assert (decision["output"], decision["cached"], decision["client"]) == (hit["output"], True, "tests")
    assert decision["input"] == mindsdb.rows[0]
    assert 0 < gateway.metric("gateway_cache_hit_ratio") < 1


def test_nothing_of_the_raw_row_is_seen_kept_or_logged(gateway: Gateway, mindsdb: MindsDB, cache: RedisServer) -> None:
    waiting = gateway.metric("gateway_audit_undelivered")
    assert gateway.predict(ROW).status_code == 200
    assert gateway.metric("gateway_audit_undelivered") == waiting + 1, "the attributes are among what is looked at"
    problem(gateway.predict({**ROW, "age": "Jane Roe"}), 422)
    problem(gateway.predict({**ROW, "hours": "P998877"}), 422)
    problem(gateway.predict({**ROW, "note": ["Jane Roe"]}), 422)
    assert mindsdb.rows[0]["age"] == "[35, 45)"
    with cache.client() as client:
        keys: t.Any = client.keys("*")
        cached: bytes = b"".join(key + client.get(key) for key in keys)
    log = gateway.log.read_bytes()
    volume = b"".join(file.read_bytes() for file in gateway.volume.iterdir())
    places: dict[str, bytes] = {
        "MindsDB": repr(mindsdb.rows).encode(),
        "Redis": cached,
        "log": log,
        "volume": volume,
    }
    assert [(place, raw) for place, data in places.items() for raw in RAW if raw in data] == []
    assert ROW["passport"] not in gateway.get("/metrics").text


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({}, "missing"),
        ({"authorization": "Bearer wrong-key-of-a-client"}, "wrong"),
        ({"authorization": "Basic x"}, "scheme"),
    ],
    ids=lambda value: str(value),
)
def test_without_a_known_key_nothing_is_answered(gateway: Gateway, header: dict[str, str], said: str) -> None:
    for method, path in (("POST", "/v1/predictions"), ("GET", "/v1/decisions/x"), ("POST", "/v1/decisions/x/outcome")):
        answer = httpx.request(
            method, f"http://127.0.0.1:{gateway.port}{path}", headers=header, content=b"{}", trust_env=False
        )
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer"), said


def test_a_revoked_key_stops_working(gateway: Gateway) -> None:
    assert gateway.predict(ROW).status_code == 200
    key = gateway.keys / "tests"
    key.rename(key.with_name(".revoked"))
    wait_for(lambda: gateway.predict(ROW).status_code == 401, "the key still works", 5)
    problem(gateway.predict(ROW), 401)
    key.with_name(".revoked").rename(key)
    wait_for(lambda: gateway.predict(ROW).status_code == 200, "the key does not work again", 5)


BAD_BODIES = {
    "a text of 10 MB": (b'{"model":"income","rows":[{"age":"' + b"x" * 10_000_000 + b'"}]}', 413),
    "100,000 rows": (b'{"model":"income","rows":[' + b",".join([b"{}"] * 100_000) + b"]}", 413),
    "1,001 rows": (b'{"model":"income","rows":[' + b",".join([b"{}"] * 1001) + b"]}", 413),
    "deep JSON": (b'{"model":"income","rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "invalid UTF-8": (b'{"model":"income","rows":[{"age":"\xff\xfe"}]}', 400),
    "NaN": (b'{"model":"income","rows":[{"age":NaN}]}', 400),
    "no rows": (b'{"model":"income"}', 400),
    "unknown model": (b'{"model":"x\'; DROP TABLE y; --","rows":[{}]}', 404),
    "NUL": (b'{"model":"income","rows":[{"sex":"\\u0000"}]}', 422),
    "missing column": (b'{"model":"income","rows":[{"age":1}]}', 422),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_bodies(gateway: Gateway, mindsdb: MindsDB, name: str) -> None:
    content, status = BAD_BODIES[name]
    headers = {"content-type": "application/json"}
    with gateway.client() as client:
        try:
            problem(client.post("/v1/predictions", content=content, headers=headers), status)
        except httpx.WriteError:
            assert status == 413  # it was refused while we still sent
        # without a Content-Length, in pieces
        pieces = (content[start : start + 65536] for start in range(0, len(content), 65536))
        try:
            problem(client.post("/v1/predictions", content=pieces, headers=headers), status)
        except (httpx.WriteError, httpx.RemoteProtocolError):
            assert status == 413
    assert mindsdb.rows == []
    assert gateway.get("/healthz").status_code == 200


def test_names_and_values_that_look_like_sql_are_only_values(gateway: Gateway, mindsdb: MindsDB) -> None:
    evil = "x'); DROP TABLE decisions; --"
    answer = gateway.predict({**ROW, "job": evil, evil: evil})
    assert answer.status_code == 200
    assert (mindsdb.rows[0]["job"], evil in mindsdb.rows[0]) == (evil, False)
    ident = answer.json()["predictions"][0]["decision_id"]
    assert gateway.get(f"/v1/decisions/{ident}").json()["input"]["job"] == evil
    problem(gateway.get("/v1/decisions/' OR 1=1 --"), 404)


def test_many_rows_keep_their_order_and_equal_ones_are_asked_once(gateway: Gateway, mindsdb: MindsDB) -> None:
    rows = [{**ROW, "hours": number % 50} for number in range(1000)]
    predictions = gateway.predict(*rows).json()["predictions"]
    assert [prediction["output"]["income"] for prediction in predictions] == [
        f">{row['hours']}K by {mindsdb.version}" for row in rows
    ]
    assert len(mindsdb.rows) == 50
    assert len({prediction["decision_id"] for prediction in predictions}) == 1000


def test_equal_requests_at_once_ask_mindsdb_once(gateway: Gateway, mindsdb: MindsDB) -> None:
    gateway.predict({**ROW, "hours": 1})
    mindsdb.seconds = 0.5
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: gateway.predict(ROW), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(mindsdb.rows) == 2


def test_a_new_version_never_answers_from_the_old_ones_entries(gateway: Gateway, mindsdb: MindsDB) -> None:
    old = mindsdb.version
    assert gateway.predict(ROW).json()["predictions"][0]["output"] == {"income": f">40K by {old}"}
    mindsdb.version += 1
    new = str(mindsdb.version)
    wait_for(lambda: gateway.predict(ROW).json()["model_version"]["mindsdb"] == new, "the new version is not seen", 5)
    assert gateway.predict(ROW).json()["predictions"][0]["output"] == {"income": f">40K by {new}"}


def test_a_model_that_is_made_again_under_the_same_number_answers_for_itself(
    gateway: Gateway, mindsdb: MindsDB
) -> None:
    old = gateway.predict(ROW).json()["predictions"][0]["output"]
    mindsdb.made += " again"
    mindsdb.predict = lambda rows: [{"income": "of the new one"} for _ in rows]
    wait_for(lambda: gateway.predict(ROW).json()["predictions"][0]["output"] != old, "the new one is not seen", 5)


def test_while_mindsdb_is_down_cached_answers_go_on(make_gateway: Make, mindsdb: MindsDB) -> None:
    gateway = make_gateway().start()
    assert gateway.predict(ROW).status_code == 200
    mindsdb.stop()
    time.sleep(1.2)  # the version is no longer young
    for _ in range(3):
        assert gateway.predict(ROW).json()["predictions"][0]["cached"] is True
        refused = gateway.predict({**ROW, "hours": 7})
        problem(refused, 503)
        assert int(refused.headers["retry-after"]) > 0
    assert gateway.get("/readyz").json()["down"] == ["mindsdb"]
    # a restart meanwhile changes nothing
    gateway.stop()
    gateway.start()
    assert gateway.predict(ROW).json()["predictions"][0]["cached"] is True
    mindsdb.start()
    wait_for(lambda: gateway.predict({**ROW, "hours": 7}).status_code == 200, "it does not come back", 10)


def test_a_slow_mindsdb_is_given_up(make_gateway: Make, mindsdb: MindsDB) -> None:
    gateway = make_gateway(GATEWAY_MINDSDB_TIMEOUT="0.7").start()
    gateway.predict({**ROW, "hours": 1})
    mindsdb.seconds = 3
    started = time.monotonic()
    problem(gateway.predict(ROW), 504)
    assert time.monotonic() - started < 2.5


NONSENSE: dict[str, t.Any] = {
    "fewer rows": lambda rows: rows[1:],
    "no target": lambda rows: [{"other": 1} for _ in rows],
    "no list": lambda rows: {"income": 1},
    "no JSON": lambda rows: (200, b"<html>oops", {}),
    "NaN": lambda rows: (200, b'[{"income": NaN}]', {}),
    "an error": lambda rows: (500, {"detail": "KeyError"}, {}),
    "a redirect": lambda rows: (307, b"", {"location": "http://elsewhere.invalid/"}),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_of_mindsdb_is_no_answer(gateway: Gateway, mindsdb: MindsDB, cache: RedisServer, name: str) -> None:
    before = gateway.metric("gateway_decisions_unshipped")
    mindsdb.predict = NONSENSE[name]
    problem(gateway.predict(ROW), 502)
    with cache.client() as client:
        assert client.keys("*") == []
    assert gateway.metric("gateway_decisions_unshipped") == before


def test_a_session_that_mindsdb_forgot_is_renewed(gateway: Gateway, mindsdb: MindsDB) -> None:
    assert gateway.predict(ROW).status_code == 200
    mindsdb.session = "another"
    assert gateway.predict({**ROW, "hours": 3}).status_code == 200


def test_without_redis_it_predicts_and_says_so(make_gateway: Make, cache: RedisServer) -> None:
    gateway = make_gateway().start(GATEWAY_REDIS_URL="redis://127.0.0.1:9/0")
    answer = gateway.predict(ROW)
    assert answer.status_code == 200
    assert "Redis" in answer.json()["warnings"][0]
    assert answer.headers["cache-status"] == "gateway; fwd=bypass; detail=unavailable"
    assert gateway.get("/readyz").json()["down"] == ["redis"]
    assert gateway.metric("gateway_redis_up") == 0


def test_a_wrong_redis_password_costs_the_cache_alone(make_gateway: Make, cache: RedisServer) -> None:
    gateway = make_gateway()
    wrong = gateway.folder / "wrong"
    wrong.write_text("wrong")
    gateway.start(GATEWAY_REDIS_PASSWORD_FILE=str(wrong))
    answer = gateway.predict(ROW).json()
    assert answer["predictions"][0]["cached"] is False
    assert "password" in answer["warnings"][0]


def test_a_full_redis_costs_new_entries_alone(gateway: Gateway, cache: RedisServer) -> None:
    assert gateway.predict(ROW).status_code == 200
    with cache.client() as client:
        client.config_set("maxmemory", "1")
    assert gateway.predict(ROW).json()["predictions"][0]["cached"] is True
    answer = gateway.predict({**ROW, "hours": 5}).json()
    assert (answer["predictions"][0]["cached"], "full" in answer["warnings"][0]) == (False, True)


def test_sigterm_finishes_what_runs_and_refuses_what_comes(make_gateway: Make, mindsdb: MindsDB) -> None:
    gateway = make_gateway().start()
    gateway.predict({**ROW, "hours": 1})
    mindsdb.seconds = 1.5
    answers: list[httpx.Response] = []
    running = threading.Thread(target=lambda: answers.append(gateway.predict(ROW)))
    running.start()
    time.sleep(0.5)
    assert gateway.process
    gateway.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with pytest.raises(httpx.ConnectError):
        gateway.predict(ROW)
    running.join()
    assert gateway.process.wait(30) == 0
    [prediction] = answers[0].json()["predictions"]
    assert answers[0].status_code == 200
    gateway.start()
    assert gateway.get(f"/v1/decisions/{prediction['decision_id']}").status_code == 200


def test_a_second_outcome_must_be_the_first(gateway: Gateway) -> None:
    ident = gateway.predict(ROW).json()["predictions"][0]["decision_id"]
    with gateway.client() as client:
        url = f"/v1/decisions/{ident}/outcome"
        assert client.post(url, json={"outcome": ">50K"}).json() == {"decision_id": ident, "outcome": ">50K"}
        assert client.post(url, json={"outcome": ">50K"}).status_code == 200
        problem(client.post(url, json={"outcome": "<=50K"}), 409)
        problem(client.post(url, json={"outcome": None}), 400)


def test_an_unknown_decision_needs_mlflow_to_say_so(gateway: Gateway) -> None:
    problem(gateway.get("/v1/decisions/01a2039d-b34d-7736-8af4-e3c5944a5123"), 503)
    problem(gateway.get("/v1/decisions/nonsense"), 404)


def test_a_request_id_is_taken_or_made(gateway: Gateway) -> None:
    with gateway.client() as client:
        given = client.get("/healthz", headers={"x-request-id": "batch-7"})
        bad = {"x-request-id": "x" * 65}
        made = {client.get("/healthz", headers=bad).headers["x-request-id"] for _ in range(3)}
    assert given.headers["x-request-id"] == "batch-7"
    assert len(made) == 3
    assert all(re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", ident) for ident in made)


def test_the_page_needs_nothing_from_outside(gateway: Gateway) -> None:
    page = gateway.get("/docs").text
    sources = re.findall(r"(?:src|href)=[\"']([^\"']+)", page)
    assert sources
    assert [source for source in sources if "//" in source] == []
    for source in sources:
        assert gateway.get(source).status_code == 200, source
    assert gateway.get("/openapi.json").json()["paths"].keys() >= {"/v1/predictions", "/v1/decisions/{decision_id}"}


def test_a_bad_start_is_one_clear_line(make_gateway: Make) -> None:
    gateway = make_gateway()
    gateway.policies({"columns": {"age": "guess"}})
    with pytest.raises(AssertionError, match="age"):
        gateway.start()
    assert "Traceback" not in gateway.log.read_text()
