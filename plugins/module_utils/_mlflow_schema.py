# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What the tables of a database say about MLflow's schema. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("VERSION_TABLE", "Schema", "SchemaError", "classify", "refusal", "require_ours", "require_revisions")

VERSION_TABLE = "alembic_version"
# Tables that every MLflow since 1.0 has. Other programs keep an alembic_version too.
_CORE = frozenset({"experiments", "metrics", "params", "runs", "tags"})
_SHOWN = 8


class SchemaError(AirgapError):
    """The database must not be used by this release of MLflow."""


@dataclasses.dataclass(frozen=True)
class Schema:
    """absent, empty, behind, current, ahead or foreign; the revision where there is one, and why for the last two."""

    state: str
    revision: str | None = None
    reason: str = ""


def classify(*, tables: t.Collection[str], revisions: t.Sequence[str], known: t.Sequence[str]) -> Schema:
    """Name the state of a database that exists.

    tables: names of all tables and views, but for the version table. revisions: rows of the version table.
    known: revisions of this release, oldest first, its head last.
    """
    found = frozenset(tables)
    if not revisions:
        if not found:
            return Schema("empty")
        return Schema("foreign", None, f"it has no revision of MLflow and holds {_listed(found)}")
    text = ", ".join(revisions)
    if not found >= _CORE:
        missing = _listed(_CORE - found)
        return Schema(
            "foreign", text, f"its {VERSION_TABLE} says {text}, but MLflow's {missing} are missing: another program's"
        )
    if len(revisions) > 1 or text not in known:
        return Schema("ahead", text, f"this release of MLflow knows revisions up to {known[-1]}, and not {text}")
    return Schema("current" if text == known[-1] else "behind", text)


def require_revisions(revisions: t.Sequence[str]) -> tuple[str, ...]:
    """The revisions of a release, once they can be compared with."""
    if not revisions or not all(revisions) or len(set(revisions)) != len(revisions):
        raise SchemaError(
            "schema_revisions must name every revision of this MLflow once, oldest first; the bundle's manifest has them"
        )
    return tuple(revisions)


def refusal(schema: Schema, *, database: str, server: str) -> str:
    """Why this release must not touch the database, and the way out; nothing where it may."""
    where = f"database {database} of {server}"
    if schema.state == "foreign":
        return f"{where} is not MLflow's: {schema.reason}. Name another database, or move what is in it away."
    if schema.state == "ahead":
        return (
            f"{where} was written by a newer MLflow: {schema.reason}. "
            "Use the bundle that wrote it or a newer one, or restore the backup that was made before its migration."
        )
    return ""


def require_ours(schema: Schema, *, database: str, server: str) -> None:
    """Refuse a database that this release must not touch."""
    text = refusal(schema, database=database, server=server)
    if text:
        # Of what a site's run did before, this knows nothing.
        raise SchemaError(f"{text} The database is as it was.", schema_state=schema.state, revision=schema.revision)


def _listed(names: t.Collection[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more
