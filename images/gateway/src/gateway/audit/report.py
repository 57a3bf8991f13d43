"""The report that people read: one HTML file with everything in it, so that it can be kept and sent."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import importlib.metadata
import typing as t
from pathlib import Path

import jinja2

from gateway.audit.labels import label_text
from gateway.audit.metrics import SAMPLES
from gateway.audit.verdict import worst

if t.TYPE_CHECKING:
    from gateway.audit.decisions import LeftOut, Window
    from gateway.audit.metrics import Comparison
    from gateway.audit.table import Table
    from gateway.audit.verdict import Judgement, Verdict
    from gateway.policy import ModelPolicy

__all__ = ("Audit", "Part", "as_document", "render_report")

NAMES = {
    "demographic_parity_difference": "Demographic parity, difference",
    "demographic_parity_ratio": "Demographic parity, ratio",
    "equal_opportunity_difference": "Equal opportunity, difference",
    "equal_opportunity_ratio": "Equal opportunity, ratio",
    "equalized_odds_difference": "Equalized odds, difference",
    "equalized_odds_ratio": "Equalized odds, ratio",
}


@dataclasses.dataclass(frozen=True)
class Part:
    """One attribute."""

    comparison: Comparison
    judgement: Judgement
    png: bytes | None

    @property
    def picture(self) -> str:
        return base64.b64encode(self.png).decode() if self.png else ""


@dataclasses.dataclass(frozen=True)
class Audit:
    """One version of one model in one window."""

    model: str
    version: str
    window: Window
    measured_at: dt.datetime
    table: Table
    left_out: LeftOut  # of all models
    parts: tuple[Part, ...]
    release: str = dataclasses.field(default_factory=lambda: _version("airgap-gateway"))
    fairlearn: str = dataclasses.field(default_factory=lambda: _version("fairlearn"))

    @property
    def verdict(self) -> Verdict:
        return worst(part.judgement.verdict for part in self.parts)


def render_report(audit: Audit, policy: ModelPolicy) -> str:
    """Names of groups come from clients: everything is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    favourable = label_text(policy.audit.favourable) if policy.audit else ""
    template = environment.get_template("report.html.j2")
    return template.render(audit=audit, policy=policy, favourable=favourable, names=NAMES, samples=SAMPLES)


def as_document(audit: Audit) -> dict[str, t.Any]:
    """The same figures for programs."""
    return {
        "model": audit.model,
        "mlflow_version": audit.version,
        "verdict": audit.verdict,
        "window": {"since": audit.window.since.isoformat(), "until": audit.window.until.isoformat()},
        "decisions": audit.table.decisions,
        "labelled": audit.table.labelled,
        "unreadable": audit.table.unreadable,
        "left_out": dataclasses.asdict(audit.left_out),
        "attributes": [_part(part) for part in audit.parts],
    }


def _part(part: Part) -> dict[str, t.Any]:
    return {
        "attribute": part.comparison.attribute,
        "verdict": part.judgement.verdict,
        "reasons": list(part.judgement.reasons),
        "missing": part.comparison.missing,
        "unnamed": part.comparison.unnamed,
        "metrics": {name: dataclasses.asdict(value) for name, value in part.comparison.differences.items()},
        "groups": {
            group.counts.group: {
                "decisions": group.counts.decisions,
                "labelled": group.counts.labelled,
                **{name: dataclasses.asdict(rate) for name, rate in group.rates.items()},
            }
            for group in part.comparison.groups
        },
    }


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # run from its source folder
        return "unknown"
