"""`gateway anonymise --definition FILE`: copy a table into one that a model may be trained on, by the policy of its predictions.

Rows are read in batches, and only the columns that have a rule. The target is written, measured and put in place in one transaction:
whoever reads it sees the old table or the new one, and a run that fails leaves the old one. Before that the result's k-anonymity is
computed over the quasi-identifiers: the smallest number of rows that look alike in them. Below `minimum_k` nothing is replaced.

    {model: income, source: {schema: public, table: people}, target: {schema: anonymous, table: people},
     quasi_identifiers: [age, sex, postcode], minimum_k: 5}

The report is one JSON object on standard output. Exit code: 0 done, 1 failed on the way and may be tried again, 2 cannot be done
as it was asked for, 3 k-anonymity too small.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
import typing as t
from collections.abc import Mapping
from pathlib import Path

import psycopg
import psycopg.conninfo
import pydantic
import yaml

from gateway.anonymise import Anonymiser, RowError
from gateway.canonical import NotCanonicalError, Scalar, settle_scalar
from gateway.first_connection import connect
from gateway.policy import Drop, Keep, ModelPolicy, PolicyError, load_models
from gateway.settings import SettingsError, read_secret
from gateway.table_copy import Column, Groups, Source, TableBusyError, TableError, Target

__all__ = ("Definition", "TableName", "anonymise_table", "main")

MODELS = "GATEWAY_MODELS"
SITE_KEY = "GATEWAY_SITE_KEY_FILE"
SOURCE = "GATEWAY_ANONYMISE_SOURCE_FILE"
TARGET = "GATEWAY_ANONYMISE_TARGET_FILE"
CONNECT_SECONDS = 10
# Exit codes: whether to try again is decided by whoever started the job.
AGAIN, NEVER, TOO_SMALL = 1, 2, 3
_LOG = logging.getLogger("gateway.anonymise")


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)


class TableName(_Strict):
    # PostgreSQL cuts longer names off, and would then mean another table
    name_schema: str = pydantic.Field(default="public", alias="schema", min_length=1, max_length=63)
    table: str = pydantic.Field(min_length=1, max_length=63)

    def __str__(self) -> str:
        return f"{self.name_schema}.{self.table}"


class Definition(_Strict):
    """Which table becomes which, and how alike its rows must be."""

    model: str
    source: TableName
    target: TableName
    quasi_identifiers: list[str] = pydantic.Field(min_length=1)
    minimum_k: int = pydantic.Field(ge=2)
    batch_rows: int = pydantic.Field(default=5000, ge=1, le=1_000_000)
    timeout: int = pydantic.Field(default=3600, ge=1)

    @classmethod
    def load(cls, path: Path) -> Definition:
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as exc:
            raise TableError(f"{path}: cannot be read ({getattr(exc, 'strerror', None) or 'no UTF-8'})") from exc
        except yaml.YAMLError as exc:
            raise TableError(f"{path}: is neither YAML nor JSON: {' '.join(str(exc).split())}") from exc
        except pydantic.ValidationError as exc:
            faults = (
                f"{path}: {'.'.join(map(str, error['loc'])) or 'definition'}: {error['msg']}" for error in exc.errors()
            )
            raise TableError("\n".join(faults)) from exc


def plan_columns(policy: ModelPolicy, definition: Definition, present: Mapping[str, str]) -> list[Column]:
    """The columns of the result and their types, or what does not fit. `present`: those of the source and their types."""
    kept = [name for name, rule in policy.columns.items() if not isinstance(rule, Drop)]
    if missing := [name for name in kept if name not in present]:
        raise TableError(
            f"{definition.source} has no column {', '.join(missing)}, which the policy of model {policy.name} names;"
            " correct the policy or read a view that has it"
        )
    columns = [
        Column(name, present[name] if isinstance(policy.columns[name], Keep) else "text", policy.columns[name].action)
        for name in kept
    ]
    if policy.target in present:
        columns.append(Column(policy.target, present[policy.target], "target"))
    names = {column.name for column in columns}
    if unknown := [name for name in definition.quasi_identifiers if name not in names]:
        raise TableError(
            f"quasi_identifiers: {', '.join(unknown)} is no column of the result; it has {', '.join(sorted(names))}"
        )
    return columns


def anonymise_table(
    definition: Definition, policy: ModelPolicy, site_key: bytes, *, source_uri: str, target_uri: str
) -> dict[str, t.Any]:
    """The report. `replaced` says whether the target is the new one."""
    started = time.monotonic()
    anonymiser = Anonymiser(policy, site_key)
    with _connect(source_uri, SOURCE, definition) as reading, _connect(target_uri, TARGET, definition) as writing:
        source = Source(reading, definition.source.name_schema, definition.source.table)
        columns = plan_columns(policy, definition, source.columns)
        target = Target(writing, definition.target.name_schema, definition.target.table)
        target.check(source)
        rows = 0
        with target.new(columns) as write:
            for batch in source.batches([column.name for column in columns], definition.batch_rows):
                for row in batch:
                    rows += 1
                    changed = _changed(anonymiser, policy, row, rows)
                    write([changed[column.name] for column in columns])
                _LOG.info("%d rows of %s", rows, definition.source)
        if not rows:
            raise TableError(f"{definition.source} has no rows; the target was left as it was")
        groups = target.groups(definition.quasi_identifiers)
        smallest = min(groups)
        if smallest >= definition.minimum_k:
            target.replace(json.dumps({"source": str(definition.source), "model": policy.name, "k": smallest}))
        else:
            target.discard()
        left_out = sorted(source.columns.keys() - {column.name for column in columns})
    return {
        "model": policy.name,
        "source": str(definition.source),
        "target": str(definition.target),
        "rows": rows,
        "columns": {column.name: column.action for column in columns},
        "left_out": left_out,
        **_measured(groups, definition),
        "replaced": smallest >= definition.minimum_k,
        "seconds": round(time.monotonic() - started, 1),
    }


def _changed(anonymiser: Anonymiser, policy: ModelPolicy, row: Mapping[str, t.Any], number: int) -> dict[str, Scalar]:
    try:
        changed = anonymiser(row)
        if policy.target in row:
            changed[policy.target] = _settled(policy.target, row[policy.target])
    except RowError as exc:
        raise TableError(f"row {number}, {exc}; the target was left as it was") from exc
    return changed


def _settled(name: str, value: object) -> Scalar:
    try:
        return settle_scalar(value)
    except NotCanonicalError as exc:
        raise RowError(name, str(exc)) from exc


def _measured(groups: Groups, definition: Definition) -> dict[str, t.Any]:
    """By size and never by value: a value of a small group is what must not be told."""
    small = {size: count for size, count in groups.items() if size < definition.minimum_k}
    return {
        "quasi_identifiers": definition.quasi_identifiers,
        "k": min(groups),
        "minimum_k": definition.minimum_k,
        "groups": sum(groups.values()),
        "too_small": [{"size": size, "groups": count, "rows": size * count} for size, count in sorted(small.items())],
    }


def _connect(uri: str, variable: str, definition: Definition) -> psycopg.Connection:
    try:
        settings = psycopg.conninfo.conninfo_to_dict(uri)
    except psycopg.ProgrammingError:
        # the library's own words repeat a part of it, which may be the password
        raise TableError(f"the file of {variable} holds no postgresql:// URI") from None
    # seconds to milliseconds; a lock that another holds is not waited for without end either
    settings["options"] = f"{settings.get('options') or ''} -c statement_timeout={definition.timeout * 1000}".strip()
    settings["connect_timeout"] = CONNECT_SECONDS
    settings["application_name"] = "gateway anonymise"
    return connect(**t.cast(dict[str, t.Any], settings))


def _secret(variable: str, env: Mapping[str, str]) -> str:
    path = env.get(variable)
    if not path:
        raise TableError(f"{variable} is not set; it names a file")
    return read_secret(Path(path))


def _run(path: Path, env: Mapping[str, str]) -> int:
    definition = Definition.load(path)
    models = load_models(env.get(MODELS, "/etc/gateway/models.yml"))
    if definition.model not in models:
        raise TableError(f"{path}: model {definition.model} has no policy; there are {', '.join(sorted(models))}")
    source = _secret(SOURCE, env)
    target = _secret(TARGET, env) if env.get(TARGET) else source
    report = anonymise_table(
        definition, models[definition.model], _secret(SITE_KEY, env).encode(), source_uri=source, target_uri=target
    )
    sys.stdout.write(json.dumps(report) + "\n")
    if report["replaced"]:
        return 0
    rows = sum(group["rows"] for group in report["too_small"])
    sys.stderr.write(
        f"anonymise: {definition.target} was left as it was: {rows} of {report['rows']} rows are in groups of fewer than"
        f" {definition.minimum_k} that look alike in {', '.join(definition.quasi_identifiers)} (k = {report['k']});"
        " generalise these columns further or drop one\n"
    )
    return TOO_SMALL


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="gateway anonymise", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--definition", type=Path, required=True, help="YAML or JSON file: which table becomes which")
    try:
        return _run(parser.parse_args(argv).definition, os.environ)
    except (TableError, PolicyError, SettingsError, ValueError) as exc:
        sys.stderr.write("".join(f"anonymise: {line}\n" for line in str(exc).splitlines()))
        return AGAIN if isinstance(exc, TableBusyError) else NEVER
    except psycopg.Error as exc:
        sys.stderr.write(f"anonymise: PostgreSQL: {_told(exc)}\n")
        return AGAIN if isinstance(exc, psycopg.OperationalError) else NEVER


def _told(exc: psycopg.Error) -> str:
    """Errors about data repeat the data: of these the kind alone is told."""
    if isinstance(exc, psycopg.DataError | psycopg.IntegrityError):
        return f"{type(exc).__name__} ({exc.sqlstate or 'while reading a value'}); the target was left as it was"
    return exc.diag.message_primary or " ".join(str(exc).split())
