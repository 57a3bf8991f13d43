"""MindsDB over its REST interface: log in, ask for the active version, describe it, predict on exactly that version.

Names go into the path, quoted, and rows into JSON: nothing becomes SQL. MindsDB is treated as hostile, so each answer
is bounded and checked before it is used. (Paths and fields as in MindsDB 26.1.0, api/http/namespaces/models.py.)
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import re
import typing as t
from urllib.parse import quote

import httpx
import orjson

from gateway.problems import MindsDBDown, MindsDBRefused, MindsDBSlow, MindsDBWrong, NotFound, RowsRefused
from gateway.settings import SettingsError

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gateway.metrics import Metrics

__all__ = ("Column", "MindsDB", "ModelVersion")

# Bytes of an answer, all of which is held in memory by each of `concurrency` questions: of a look-up or a description; of a
# prediction, and more for each row of it; and more for each byte that was sent, since an engine may send the rows back.
MAX_LOOK_UP = 1024 * 1024
MAX_PREDICTION, MAX_ROW = 64 * 1024, 4 * 1024
ECHO = 3  # "é" may come back as "\u00e9"
# Characters of a predicted value, bytes of its explanation, characters of a name.
MAX_VALUE, MAX_EXPLAIN, MAX_NAME = 4096, 32 * 1024, 256
MAX_REASON = 500
RETRY_AFTER = 5
# A look-up that something can go on without; a patient one has the time of a prediction.
LOOK_UP_SECONDS = 5.0
INPUT_ERROR = "InputError: "
# The engine counts what it was asked: without rows that were there twice or in the cache, and perhaps of several requests.
ROW_NUMBER = re.compile(r" in row \d+")

VERSION = re.compile(r"[0-9]{1,18}")

_log = logging.getLogger(__name__)
Rows = list[dict[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class Column:
    name: str
    type: str
    required: bool = True


@dataclasses.dataclass(frozen=True)
class ModelVersion:
    """One trained version of a model: what MindsDB and MLflow call it, and the columns it takes."""

    mindsdb: str
    identity: str  # differs when a model was dropped and made again under the same number
    mlflow_model: str | None
    mlflow_version: str | None
    run_id: str | None
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """Tells it from whatever may answer otherwise, for the cache. The number comes first."""
        names = (self.mindsdb, self.mlflow_model, self.mlflow_version, self.run_id, self.identity)
        return "/".join(name or "" for name in names)

    def public(self) -> dict[str, str | None]:
        return {
            "mindsdb": self.mindsdb,
            "mlflow_model": self.mlflow_model,
            "mlflow_version": self.mlflow_version,
            "run_id": self.run_id,
        }


@dataclasses.dataclass
class MindsDB:
    http: httpx.AsyncClient
    credentials: Callable[[], tuple[str, str]] | None
    project: str
    metrics: Metrics
    seconds: float = 20.0  # a prediction, with the wait for a free slot and a login
    concurrency: int = 8
    _logins: int = dataclasses.field(default=0, init=False)
    _lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock, init=False)
    _slots: asyncio.Semaphore = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)

    async def active(self, model: str, *, patient: bool = True) -> tuple[str, str]:
        """The number of the model's active version, and what tells it from others of the same number."""
        answer = await self._ask("look-up", "GET", self._path(model), None, patient=patient)
        if not isinstance(answer, dict):
            raise MindsDBWrong(f"MindsDB's answer about model {model} is no object.")
        version, status = answer.get("version"), answer.get("status")
        if isinstance(version, bool) or not isinstance(version, (int, str)) or not VERSION.fullmatch(str(version)):
            raise MindsDBWrong(f"MindsDB's answer about model {model} has no version number.")
        if status == "error":
            raise MindsDBWrong(f"Training model {model} failed in MindsDB; DESCRIBE it there, then train it again.")
        if status != "complete":
            text = f"MindsDB has not finished training model {model}: try again later."
            raise MindsDBDown(text, retry_after=RETRY_AFTER)
        return str(version), _name(model, f"{answer.get('id')}/{answer.get('created_at')}")

    async def describe(self, model: str, version: str, identity: str, *, patient: bool = True) -> ModelVersion:
        """What the engine says about one version: which version of MLflow's registry it loads, and its columns."""
        path = f"{self._path(model, version)}/describe"
        answer = await self._ask("describe", "GET", path, {"attribute": "model"}, patient=patient)
        row = answer[0] if isinstance(answer, list) and answer else None
        if not isinstance(row, dict):
            raise MindsDBWrong(f"MindsDB's description of model {model} is not one row.")
        texts = {
            name: _name(model, row[name]) if row.get(name) else None
            for name in ("mlflow_model", "mlflow_version", "run_id")
        }
        return ModelVersion(version, identity, **texts, columns=_columns(model, row.get("columns")))

    async def predict(self, model: str, version: str, target: str, rows: Sequence[dict[str, t.Any]]) -> Rows:
        """The target of each row, and the engine's explanation where it gives one."""
        path = f"{self._path(model, version)}/predict"
        limit = MAX_PREDICTION + MAX_ROW * len(rows)
        answer = await self._ask("predict", "POST", path, {"data": list(rows)}, limit)
        if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
            raise MindsDBWrong(f"MindsDB's prediction of model {model} is not a list of rows.")
        if len(answer) != len(rows):
            raise MindsDBWrong(f"MindsDB was asked about {len(rows)} rows of model {model} and answered {len(answer)}.")
        return [_output(model, target, row) for row in answer]

    async def alive(self) -> bool:
        """Whether it answers at all; asked only for the state that people look at."""
        try:
            response = await self.http.get("/api/util/ping", timeout=2)
        except httpx.HTTPError:
            return False
        return response.status_code < 500

    def _path(self, model: str, version: str | None = None) -> str:
        name = quote(model if version is None else f"{model}.{version}", safe="")
        return f"/api/projects/{quote(self.project, safe='')}/models/{name}"

    async def _ask(
        self, operation: str, method: str, path: str, content: t.Any, limit: int = MAX_LOOK_UP, *, patient: bool = True
    ) -> t.Any:
        seconds = self.seconds if patient else min(self.seconds, LOOK_UP_SECONDS)
        with self.metrics.mindsdb(operation):
            try:
                async with asyncio.timeout(seconds), self._slots:
                    status, body = await self._send_in_session(method, path, content, limit)
            except TimeoutError:
                text = f"MindsDB did not answer within {seconds:g} seconds: try again, with fewer rows."
                raise MindsDBSlow(text) from None
            return _checked(status, body)

    async def _send_in_session(self, method: str, path: str, content: t.Any, limit: int) -> tuple[int, bytearray]:
        seen = self._logins
        status, body = await self._send(method, path, content, limit)
        if status == 401:
            await self._login(seen)
            status, body = await self._send(method, path, content, limit)
        return status, body

    async def _login(self, seen: int) -> None:
        """Once for all requests that met the same expired session."""
        async with self._lock:
            if self._logins != seen:
                return
            if self.credentials is None:
                raise MindsDBRefused("MindsDB wants a login and the gateway was given none.", retry_after=RETRY_AFTER)
            try:
                username, password = self.credentials()
            except SettingsError as exc:
                raise MindsDBRefused(str(exc), retry_after=RETRY_AFTER) from exc
            content = {"username": username, "password": password}
            status, _ = await self._send("POST", "/api/login", content, MAX_LOOK_UP)
            if status != 200:
                _log.error("MindsDB refuses the login of user %s with status %d", username, status)
                text = "MindsDB refuses the gateway's user and password: the gateway's Secret is not MindsDB's."
                raise MindsDBRefused(text, retry_after=RETRY_AFTER)
            self._logins += 1

    async def _send(self, method: str, path: str, content: t.Any, limit: int) -> tuple[int, bytearray]:
        data = b"" if content is None else orjson.dumps(content)
        limit += ECHO * len(data)
        headers = {"accept-encoding": "identity"} | ({"content-type": "application/json"} if data else {})
        async with _translated(), self.http.stream(method, path, content=data or None, headers=headers) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise MindsDBWrong("MindsDB packs its answer, which it was asked not to: what is in it has no limit.")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > limit:
                    raise MindsDBWrong(f"MindsDB's answer is larger than {limit} bytes.")
            return response.status_code, body


@contextlib.asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        raise MindsDBDown("Only answers from the cache are given until it is back.", retry_after=RETRY_AFTER) from exc
    except httpx.TimeoutException as exc:
        raise MindsDBSlow("MindsDB took longer than the gateway waits: try again with fewer rows.") from exc
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise MindsDBDown(f"MindsDB cut the connection ({type(exc).__name__}).", retry_after=RETRY_AFTER) from exc


def _checked(status: int, body: bytearray) -> t.Any:
    if status == 200:
        return _parse(body)
    if status == 401:
        raise MindsDBRefused("MindsDB refuses a session that it has just given.", retry_after=RETRY_AFTER)
    if status == 404:
        raise NotFound("MindsDB has no such model, or no such version of it: train it, or correct gateway_models.")
    if status in (502, 503):
        raise MindsDBDown(f"MindsDB answered with status {status}.", retry_after=RETRY_AFTER)
    reason = _reason(body)
    if status == 500 and INPUT_ERROR in reason:
        # the engine's own word for rows that do not fit: it names the column, and no value
        raise RowsRefused(f"The model refuses the rows: {ROW_NUMBER.sub('', reason.partition(INPUT_ERROR)[2])}")
    raise MindsDBWrong(f"MindsDB answered with status {status}: {reason}")


def _parse(body: bytes | bytearray) -> t.Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MindsDBWrong("MindsDB's answer is not JSON.") from None


def _reason(body: bytearray) -> str:
    """MindsDB's own text of an error; it has seen anonymised rows alone."""
    try:
        answer = orjson.loads(body)
        text = str(answer.get("detail") or answer.get("message"))
    except (orjson.JSONDecodeError, AttributeError):
        return "without a reason."
    return text.partition("\n")[0][:MAX_REASON]  # what follows is a traceback


def _columns(model: str, given: t.Any) -> tuple[Column, ...]:
    """The columns come as a list, or as its JSON text."""
    listed = _parse(given.encode()) if isinstance(given, str) else given
    if not isinstance(listed, list):
        raise MindsDBWrong(f"MindsDB's description of model {model} lists no columns.")
    if not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in listed):
        raise MindsDBWrong(f"MindsDB's description of model {model} has a column without a name.")
    return tuple(
        Column(_name(model, item["name"]), _name(model, item.get("type")), item.get("required") is not False)
        for item in listed
    )


def _name(model: str, given: t.Any) -> str:
    text = str(given)
    if len(text) > MAX_NAME:
        raise MindsDBWrong(f"MindsDB describes model {model} with a name of more than {MAX_NAME} characters.")
    return text


def _output(model: str, target: str, row: dict[str, t.Any]) -> dict[str, t.Any]:
    value = row.get(target)
    if value is None or isinstance(value, (dict, list)):
        raise MindsDBWrong(f"MindsDB's prediction of model {model} has no value for {target}.")
    if isinstance(value, str) and len(value) > MAX_VALUE:
        raise MindsDBWrong(f"MindsDB's prediction of model {model} is a text of more than {MAX_VALUE} characters.")
    output = {target: value}
    explain = row.get(f"{target}_explain")
    if isinstance(explain, str):
        with contextlib.suppress(orjson.JSONDecodeError):
            explain = orjson.loads(explain)
    if explain is not None:
        if not _is_small(explain):
            raise MindsDBWrong(f"MindsDB explains a prediction of model {model} with more than {MAX_EXPLAIN} bytes.")
        output[f"{target}_explain"] = explain
    return output


def _is_small(explain: t.Any) -> bool:
    try:
        return len(orjson.dumps(explain)) <= MAX_EXPLAIN
    except orjson.JSONEncodeError:  # nested deeper than anybody reads
        return False
