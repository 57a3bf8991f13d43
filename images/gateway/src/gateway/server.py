"""`gateway serve`: one process, one event loop. SIGTERM stops the door, then what runs is finished, then all is closed."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sqlite3
import sys
import typing as t

import uvicorn

from gateway.app import FrontDoor, create_app
from gateway.connections import Connection
from gateway.decisions import DecisionLog
from gateway.metrics import Metrics
from gateway.policy import PolicyError
from gateway.schema import SchemaError
from gateway.settings import Settings, SettingsError

if t.TYPE_CHECKING:
    import asyncio

__all__ = ("main",)

_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    if arguments:
        sys.stderr.write("gateway serve takes its settings from the environment, and no arguments.\n")
        return 2
    # the decision log's thread must not wait the usual 5 ms for its turn while requests keep the loop busy
    sys.setswitchinterval(0.0005)
    # the server ends by raising the signal once more: all is closed by then, and that is no failure
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each URL
    try:
        settings = Settings.from_env(os.environ)
        # here, and not only at the server's start, so that a volume that cannot be used is one clear line
        log = DecisionLog(settings.volume, Metrics(), settings.decisions_sync)
        log.open()
        log.close()
        config = uvicorn.Config(
            FrontDoor(create_app(settings)),
            proxy_headers=False,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=t.cast("type[asyncio.Protocol]", functools.partial(Connection, most=settings.max_connections)),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,  # it would repeat query strings; the decision log is the log of answers
            server_header=False,
            timeout_graceful_shutdown=round(settings.drain_seconds),
            timeout_keep_alive=65,
            backlog=512,
        )
        server = uvicorn.Server(config)
        server.run()
    except (SettingsError, PolicyError, SchemaError) as exc:
        _log.critical("%s", exc)
        return 2
    except (OSError, sqlite3.Error) as exc:
        _log.critical(
            "The decision log in %s cannot be opened (%s): see the volume, its owner and its room.",
            settings.volume,
            exc,
        )
        return 2
    return 0 if server.started else 1
