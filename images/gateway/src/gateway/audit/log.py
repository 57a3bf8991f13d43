"""An audit as a run of MLflow: figures as metrics, pictures and report as artifacts, the verdict as a tag."""

from __future__ import annotations

import hashlib
import re
import tempfile
import typing as t
from pathlib import Path

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from gateway.audit.report import as_document, render_report

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient

    from gateway.audit.report import Audit
    from gateway.policy import ModelPolicy

__all__ = ("EXPERIMENT", "log_audit", "metric_values", "name_part")

EXPERIMENT = "bias-audit"
_BATCH = 500  # metrics; the server takes 1000
_FOREIGN = re.compile(r"[^A-Za-z0-9_\-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_\-]{1,80}")
_DIGITS = 16  # of a digest: clients choose what groups are called, and must not find two of one name
_DIGEST = re.compile(rf"-[0-9a-f]{{{_DIGITS}}}\Z")


def log_audit(client: MlflowClient, audit: Audit, policy: ModelPolicy, seed: int) -> str:
    """Return the run's id. A run that could not be written whole is marked as failed, never left as if it were running."""
    tags = {
        "model": audit.model,
        "mlflow_version": audit.version,
        "verdict": audit.verdict,
        **{f"verdict.{name_part(part.comparison.attribute)}": part.judgement.verdict for part in audit.parts},
        "window_since": audit.window.since.isoformat(),
        "window_until": audit.window.until.isoformat(),
    }
    name = f"{audit.model} {audit.version} {audit.measured_at:%Y-%m-%d %H:%M}: {audit.verdict}"
    run = client.create_run(_experiment(client), tags=tags, run_name=name)
    run_id: str = run.info.run_id
    ended = "FAILED"
    try:
        at = int(audit.measured_at.timestamp() * 1000)
        metrics = [Metric(key, value, at, 0) for key, value in metric_values(audit).items()]
        client.log_batch(run_id, params=[Param(key, value) for key, value in _params(policy, seed)])
        for start in range(0, len(metrics), _BATCH):
            client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
        with tempfile.TemporaryDirectory() as folder:
            _write_artifacts(Path(folder), audit, policy)
            client.log_artifacts(run_id, folder)
        client.log_dict(run_id, as_document(audit), "audit.json")
        client.log_batch(run_id, tags=[RunTag("report", "report.html")])
        ended = "FINISHED"
    finally:
        client.set_terminated(run_id, ended)
    return run_id


def metric_values(audit: Audit) -> dict[str, float]:
    """Names say attribute, group and figure; what could not be measured is left out."""
    table = audit.table
    values: dict[str, float] = {
        "decisions": table.decisions, "decisions.labelled": table.labelled, "decisions.unreadable": table.unreadable,
        "traces.foreign": audit.left_out.foreign, "traces.repeated": audit.left_out.repeated,
    }  # fmt: skip
    for part in audit.parts:
        prefix = name_part(part.comparison.attribute)
        figures = [(f"{prefix}.{name}", value) for name, value in part.comparison.differences.items()]
        values[f"{prefix}.unnamed.decisions"] = part.comparison.unnamed
        for group in part.comparison.groups:
            base = f"{prefix}.group.{name_part(group.counts.group)}"
            values[f"{base}.decisions"] = group.counts.decisions
            figures += [(f"{base}.{name}", value) for name, value in group.rates.items()]
        for key, interval in figures:
            for ending, number in (("", interval.value), (".low", interval.low), (".high", interval.high)):
                if interval.value is not None and number is not None:
                    values[key + ending] = number
    return values


def _params(policy: ModelPolicy, seed: int) -> Iterator[tuple[str, str]]:
    assert policy.audit is not None  # noqa: S101 - for the type checker: only models with an audit come here
    yield "target", policy.target
    yield "favourable", str(policy.audit.favourable)
    yield "minimum_group", str(policy.audit.minimum_group)
    yield "seed", str(seed)
    for metric, threshold in sorted(policy.audit.thresholds.items()):
        yield f"threshold.{metric}", f"{threshold:g}"


def _write_artifacts(folder: Path, audit: Audit, policy: ModelPolicy) -> None:
    (folder / "report.html").write_text(render_report(audit, policy), encoding="utf-8")
    (folder / "plots").mkdir()
    for part in audit.parts:
        if part.png:
            (folder / "plots" / f"{name_part(part.comparison.attribute)}.png").write_bytes(part.png)


def _experiment(client: MlflowClient) -> str:
    """The experiment's id; another audit may be making it at the same moment."""
    for _attempt in range(2):
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(client.create_experiment(EXPERIMENT))
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    raise MlflowException(f"experiment {EXPERIMENT} exists and cannot be found: was it deleted? Restore it in MLflow.")


def name_part(text: str) -> str:
    """As a part of a metric's name, a tag's and a file's: plain names as they are, any other with a digest of what it was.

    A plain one that ends like a digest gets one too, or it could be sent to take another's place.
    """
    if _PLAIN.fullmatch(text) and not _DIGEST.search(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{_FOREIGN.sub('_', text)[:63]}-{digest}"
