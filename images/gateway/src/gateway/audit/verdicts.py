"""The last verdicts, in the audit's database, where the gateway reads them for its metrics. It may read nothing else there."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import psycopg

__all__ = ("Published", "keep_verdicts", "publish_verdicts", "read_verdicts")


@dataclasses.dataclass(frozen=True)
class Published:
    """One attribute of one version of a model, as the last audit judged it."""

    model: str
    mlflow_version: str
    attribute: str
    verdict: str
    run_id: str
    measured_at: dt.datetime


_NAMES = [field.name for field in dataclasses.fields(Published)]
_READ = f"SELECT {', '.join(_NAMES)} FROM verdicts ORDER BY model, mlflow_version, attribute"  # noqa: S608 - our own names
_WRITE = f"INSERT INTO verdicts ({', '.join(_NAMES)}) VALUES ({', '.join(['%s'] * len(_NAMES))})"  # noqa: S608


def read_verdicts(connection: psycopg.Connection[t.Any]) -> list[Published]:
    return [Published(*row) for row in connection.execute(_READ)]


def publish_verdicts(connection: psycopg.Connection[t.Any], model: str, verdicts: Sequence[Published]) -> None:
    """All of a model's in one transaction: a version that decides nothing any more is no longer shown."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM verdicts WHERE model = %s", (model,))
        cursor.executemany(_WRITE, [dataclasses.astuple(verdict) for verdict in verdicts])


def keep_verdicts(connection: psycopg.Connection[t.Any], models: Iterable[str]) -> None:
    """Of these models, and of no other: what is not audited any more is not shown any more."""
    connection.execute("DELETE FROM verdicts WHERE model <> ALL(%s::text[])", (list(models),))
