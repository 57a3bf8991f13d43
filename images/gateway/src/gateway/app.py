"""The service put together: what opens when it starts, and in which order it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import typing as t

import httpx
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gateway import openapi, routes
from gateway.anonymise import MIN_SITE_KEY, derive
from gateway.body import BodyReader
from gateway.decisions import DecisionLog
from gateway.kept_connections import KeptConnections
from gateway.keys import KeyRing
from gateway.metrics import Metrics
from gateway.mindsdb import MindsDB
from gateway.policy import load_models
from gateway.problems import http_problem
from gateway.service import PredictionService
from gateway.settings import Settings, SettingsError, read_secret
from gateway.shipping import TraceTarget, deliver_forever
from gateway.status import Status
from gateway.store import AsyncCacheStore, connect_async
from gateway.texts import TextWorkers
from gateway.versions import Versions

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

    from gateway.policy import ModelPolicy
    from gateway.sealing import Seal

__all__ = ("FrontDoor", "create_app")

PRUNE_SECONDS = 60.0
FLUSH_SECONDS = 5.0
_log = logging.getLogger(__name__)


def create_app(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """`transport` takes the place of the network to MindsDB, in tests."""
    policies = load_models(settings.models)
    site_key = read_secret(settings.site_key_file).encode()
    if len(site_key) < MIN_SITE_KEY:
        raise SettingsError(f"The site key in {settings.site_key_file} is shorter than {MIN_SITE_KEY} characters.")
    start = functools.partial(_lifespan, settings=settings, policies=policies, site_key=site_key, transport=transport)
    app = FastAPIOffline(
        title="airgap gateway",
        description=openapi.DESCRIPTION,
        version="1",
        redoc_url=None,
        lifespan=start,
    )
    app.include_router(routes.router)
    app.add_exception_handler(HTTPException, http_problem)
    generate = app.openapi
    app.openapi = lambda: app.openapi_schema or openapi.complete(generate())  # type: ignore[method-assign]
    return app


class FrontDoor:
    """What the server calls. Predictions go straight to their handler: the framework's nine layers around it, which
    they do not use, would take a third of the time of a cached answer.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/v1/predictions" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        response = await routes.predictions(Request(scope, receive))
        await response(scope, receive, send)


@contextlib.asynccontextmanager
async def _lifespan(
    _app: FastAPI,
    *,
    settings: Settings,
    policies: dict[str, ModelPolicy],
    site_key: bytes,
    transport: httpx.AsyncBaseTransport | None,
) -> AsyncIterator[dict[str, routes.Parts]]:
    metrics = Metrics()
    log = DecisionLog(settings.volume, metrics, settings.decisions_sync, settings.reserve_bytes, settings.volume_bytes)
    async with contextlib.AsyncExitStack() as stack:
        log.open()
        stack.push_async_callback(asyncio.to_thread, log.close)
        password = read_secret(settings.redis_password_file) if settings.redis_password_file else None
        redis = connect_async(settings.redis_url, password=password, timeout=settings.redis_timeout)
        stack.push_async_callback(redis.aclose)
        store = AsyncCacheStore(redis, derive(site_key, "entries of the cache"), KeptConnections(redis).getrange)
        limits = httpx.Limits(max_connections=settings.mindsdb_concurrency * 2)
        timeout = httpx.Timeout(settings.mindsdb_timeout, connect=2)
        client = httpx.AsyncClient(
            base_url=settings.mindsdb_url, transport=transport, timeout=timeout, limits=limits, trust_env=False
        )
        mindsdb = MindsDB(
            await stack.enter_async_context(client), _credentials(settings), settings.mindsdb_project, metrics,
            settings.mindsdb_timeout, settings.mindsdb_concurrency,
        )  # fmt: skip
        versions = Versions(mindsdb, log, metrics, settings.version_seconds)
        stack.push_async_callback(versions.close)
        mlflow = httpx.AsyncClient(base_url=settings.mlflow_url, timeout=settings.mlflow_timeout, trust_env=False)
        traces = TraceTarget(
            await stack.enter_async_context(mlflow), log, metrics, settings.mlflow_experiment, settings.ship_batch
        )
        seal = _seal(settings, site_key)
        texts = TextWorkers(settings.max_text, settings.text_seconds)
        stack.callback(texts.close)
        parts = routes.Parts(
            settings=settings,
            keys=KeyRing(settings.keys_dir),
            bodies=BodyReader(
                settings.max_body_bytes, settings.max_bodies_bytes, settings.max_working_bytes, settings.body_seconds
            ),
            service=PredictionService(policies, site_key, store, versions, mindsdb, log, metrics, seal, texts),
            log=log,
            traces=traces,
            status=Status(log, store, mindsdb, metrics),
            metrics=metrics,
        )
        audited = frozenset(name for name, policy in policies.items() if policy.audit)
        async with _background(_deliveries(settings, log, traces, metrics, seal, audited)):
            _log.info("the gateway serves models %s", ", ".join(sorted(policies)))
            yield {"parts": parts}  # which is the `state` of each request
        await _flush(traces)


def _credentials(settings: Settings) -> t.Callable[[], tuple[str, str]] | None:
    """Read at each login, so that a changed Secret is taken up."""
    user, password = settings.mindsdb_username_file, settings.mindsdb_password_file
    return (lambda: (read_secret(user), read_secret(password))) if user and password else None


def _seal(settings: Settings, site_key: bytes) -> Seal | None:
    if settings.audit_database_file is None:
        return None
    from gateway.sealing import Seal  # noqa: PLC0415 - takes memory, and not every site audits

    return Seal(derive(site_key, "attributes of the audit"))


def _deliveries(
    settings: Settings,
    log: DecisionLog,
    traces: TraceTarget,
    metrics: Metrics,
    seal: Seal | None,
    audited: frozenset[str],
) -> list[Coroutine[t.Any, t.Any, t.NoReturn]]:
    deliveries = [
        deliver_forever("mlflow", traces.deliver, settings.ship_seconds, metrics),
        deliver_forever("retention", functools.partial(_prune, log, settings), PRUNE_SECONDS, metrics),
    ]
    if settings.audit_database_file and seal:
        from gateway.auditdb import AuditTarget  # noqa: PLC0415 - the driver takes memory, and not every site audits

        audit = AuditTarget(settings.audit_database_file, log, metrics, seal, audited)
        deliveries.append(deliver_forever("auditdb", audit.deliver, settings.ship_seconds, metrics))
        deliveries.append(deliver_forever("verdicts", audit.read_verdicts, PRUNE_SECONDS, metrics))
    return deliveries


async def _prune(log: DecisionLog, settings: Settings) -> bool:
    limit = 1000
    return await log.prune(settings.retention_days * 86400, limit) == limit


@contextlib.asynccontextmanager
async def _background(coroutines: list[Coroutine[t.Any, t.Any, t.NoReturn]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _flush(traces: TraceTarget) -> None:
    """What is still here at the end goes now if it can; if not, it goes after the next start."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(FLUSH_SECONDS):
            while await traces.deliver():
                pass
