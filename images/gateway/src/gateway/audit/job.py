"""`gateway audit`: audit every model that declares attributes, over the decisions of a time window.

Exit codes: 0 all was measured, 1 something could not be, 2 wrong arguments, 3 all was, and a verdict is `fail`. The Job that
runs this tries again on a 1, and fails for good on a 3, which Kubernetes tells in an Event, so no pod needs a right on the API
server.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import functools
import json
import os
import sys
import traceback
import typing as t
from pathlib import Path

import psycopg
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from gateway.audit.decisions import EXPERIMENT, LeftOut, Window, read_decisions
from gateway.audit.facts import read_facts
from gateway.audit.log import log_audit
from gateway.audit.metrics import compare_groups
from gateway.audit.plots import plot_comparison
from gateway.audit.report import Audit, Part, as_document
from gateway.audit.table import Table
from gateway.audit.verdict import FAIL, judge
from gateway.audit.verdicts import Published, keep_verdicts, publish_verdicts
from gateway.first_connection import connect
from gateway.policy import PolicyError, load_models

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gateway.policy import AuditPolicy, ModelPolicy

__all__ = ("audit_model", "main")

SEED = 20240101
OK, ERROR, UNFAIR = 0, 1, 3
# For MLflow's client: standard output holds the result alone, a server that is away is not waited for by the minute, and
# the spans of a page come in a few requests instead of one for each ten decisions.
CLIENT = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "_MLFLOW_SEARCH_TRACES_MAX_BATCH_SIZE": "100",
}


class AuditError(Exception):
    """Why nothing could be measured; the text names what to do."""


@dataclasses.dataclass
class Done:
    """What the Job says in its last line, for programs."""

    published: bool  # whether the gateway shows these verdicts
    audits: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    errors: dict[str, str] = dataclasses.field(default_factory=dict)  # by model: why it was not audited


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    for name, value in CLIENT.items():
        os.environ.setdefault(name, value)
    try:
        done = _audit_all(arguments, env or os.environ)
    except (AuditError, PolicyError, MlflowException, psycopg.Error) as exc:
        _say(f"gateway audit: {_reason(exc)}")
        return ERROR
    sys.stdout.write(json.dumps({"format": 1, **dataclasses.asdict(done)}) + "\n")
    if done.errors:
        return ERROR
    return UNFAIR if any(audit["verdict"] == FAIL for audit in done.audits) else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway audit", description="Measure bias, and write it to MLflow.")
    parser.add_argument(
        "--days", type=_days, default=None, help="length of the window in days (default: GATEWAY_AUDIT_DAYS, or 30)"
    )
    parser.add_argument(
        "--until", type=_time, default=None, help="end of the window, ISO 8601 with a zone (default: now)"
    )
    parser.add_argument("--model", action="append", default=[], help="only this model; can be given several times")
    return parser


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0
    if not 0 < days <= 3660:
        raise argparse.ArgumentTypeError(f"{text} days: give a number above 0, at most 3660")
    return days


def _time(text: str) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        time = dt.datetime.min
    if time.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time with a zone: write it as 2026-01-31T12:00:00+00:00")
    return time


def _audit_all(arguments: argparse.Namespace, env: Mapping[str, str]) -> Done:
    declared = _declared(load_models(_setting(env, "GATEWAY_MODELS", "/etc/gateway/models.yml")))
    policies = _choose(declared, arguments.model)
    usual = _usual_days(env)
    days = arguments.days or usual
    until = arguments.until or _now()
    window = Window(until - dt.timedelta(days=days), until)
    # Any other window may be one that hides what the usual one shows.
    done = Done(published=arguments.until is None and days == usual)
    client = MlflowClient(tracking_uri=_setting(env, "MLFLOW_TRACKING_URI"))
    database = functools.partial(
        connect, _read(_setting(env, "GATEWAY_AUDIT_DATABASE_FILE")),
        connect_timeout=10, application_name="bias-audit", autocommit=True,
    )  # fmt: skip
    with database() as connection:
        tables, left_out = _count(client, connection, policies, window)
        if done.published:
            keep_verdicts(connection, declared)
        else:
            _say(f"another window than the last {usual:g} days: the verdicts that the gateway shows stay as they are")
    for name, policy in policies.items():
        try:
            audits = audit_model(policy, tables[name], window, left_out)
            runs = {audit.version: log_audit(client, audit, policy, SEED) for audit in audits}
            if done.published:
                with database() as connection:
                    publish_verdicts(connection, name, list(_published(audits, runs)))
            done.audits += _told(client, audits, runs)
        except Exception as exc:  # whatever it is, the other models are audited all the same
            done.errors[name] = _reason(exc)
            if not isinstance(exc, (MlflowException, psycopg.Error, OSError)):
                traceback.print_exc()  # a fault of ours: where it is helps whoever mends it
            _say(f"gateway audit: model {name} was not audited: {done.errors[name]}")
    return done


def _told(client: MlflowClient, audits: Iterable[Audit], runs: Mapping[str, str]) -> Iterator[dict[str, t.Any]]:
    for audit in audits:
        run_id = runs[audit.version]
        address = f"#/experiments/{client.get_run(run_id).info.experiment_id}/runs/{run_id}/artifacts/report.html"
        _say(f"{audit.model} {audit.version}: {audit.verdict} (run {run_id})")
        yield {**as_document(audit), "run_id": run_id, "report": address}


def _count(
    client: MlflowClient, connection: psycopg.Connection[t.Any], policies: Mapping[str, ModelPolicy], window: Window
) -> tuple[dict[str, dict[str, Table]], LeftOut]:
    """By model and version. Pages are joined with their facts and counted as they come: none of them is kept."""
    left_out = LeftOut()
    tables: dict[str, dict[str, Table]] = {name: {} for name in policies}
    for page in read_decisions(client, window, left_out) if policies else ():
        wanted = [decision for decision in page if decision.model in policies]
        facts = read_facts(connection, [decision.id for decision in wanted])
        for decision in wanted:
            versions = tables[decision.model]
            if decision.version not in versions:
                versions[decision.version] = _table(policies[decision.model])
            versions[decision.version].add(decision, facts.get(decision.id))
    if left_out.foreign:
        _say(
            f"left out {left_out.foreign} traces of MLflow's experiment {EXPERIMENT} that are no decisions of a gateway"
        )
    return tables, left_out


def audit_model(policy: ModelPolicy, tables: Mapping[str, Table], window: Window, left_out: LeftOut) -> list[Audit]:
    """One audit for each version that decided something; one that says so where none did."""
    now = _now()
    return [
        Audit(policy.name, version, window, now, table, left_out, tuple(_parts(policy, table)))
        for version, table in sorted(tables.items()) or [("none", _table(policy))]
    ]


def _table(policy: ModelPolicy) -> Table:
    rules = _rules(policy)
    return Table(rules.attributes, target=policy.target, favourable=rules.favourable)


def _rules(policy: ModelPolicy) -> AuditPolicy:
    if policy.audit is None:
        raise AuditError(f"model {policy.name} declares no audit: add it to gateway_models, or leave the model out")
    return policy.audit


def _parts(policy: ModelPolicy, table: Table) -> Iterator[Part]:
    rules = _rules(policy)
    for attribute in rules.attributes:
        comparison = compare_groups(
            attribute, table.groups(attribute), missing=table.missing(attribute), late=table.late(attribute),
            minimum_group=rules.minimum_group, seed=SEED,
        )  # fmt: skip
        shown = any(group.rates["selection_rate"].value is not None for group in comparison.groups)
        yield Part(comparison, judge(comparison, rules.thresholds), plot_comparison(comparison) if shown else None)


def _published(audits: Iterable[Audit], runs: Mapping[str, str]) -> Iterator[Published]:
    for audit in audits:
        for part in audit.parts:
            verdict = part.judgement.verdict
            yield Published(
                audit.model, audit.version, part.comparison.attribute, verdict, runs[audit.version], audit.measured_at
            )


def _declared(policies: Mapping[str, ModelPolicy]) -> dict[str, ModelPolicy]:
    return {name: policy for name, policy in policies.items() if policy.audit is not None}


def _choose(declared: Mapping[str, ModelPolicy], names: Sequence[str]) -> dict[str, ModelPolicy]:
    if strangers := sorted(set(names) - set(declared)):
        raise AuditError(
            f"no audit is declared for {', '.join(strangers)}. Models with one: {', '.join(declared) or 'none'}; "
            "add `audit` to the model in gateway_models."
        )
    return {name: policy for name, policy in declared.items() if not names or name in names}


def _usual_days(env: Mapping[str, str]) -> float:
    """The window of the CronJob."""
    text = env.get("GATEWAY_AUDIT_DAYS") or "30"
    try:
        return _days(text)
    except argparse.ArgumentTypeError as exc:
        raise AuditError(f"GATEWAY_AUDIT_DAYS is {exc}") from exc


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _setting(env: Mapping[str, str], name: str, default: str = "") -> str:
    value = env.get(name) or default
    if not value:
        raise AuditError(f"{name} is not set: the pod's environment has to give it")
    return value


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise AuditError(
            f"GATEWAY_AUDIT_DATABASE_FILE is {path}: cannot be read ({exc.strerror}); mount the secret there"
        ) from exc


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _reason(exc: Exception) -> str:
    if isinstance(exc, (AuditError, PolicyError)):
        return str(exc)
    first = (str(exc).splitlines() or [type(exc).__name__])[0]
    if isinstance(exc, MlflowException):
        return f"MLflow cannot be asked, or refuses: {first}"
    if isinstance(exc, psycopg.Error):
        return f"the audit's database cannot be asked, or refuses: {first}"
    return f"{type(exc).__name__}: {first}"
