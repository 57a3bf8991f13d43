"""What the decision log does not hold: declared attributes and outcomes, in the audit's own database."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

__all__ = ("SCHEMA", "Fact", "read_facts")

SCHEMA = Path(__file__).with_name("schema.sql")
_QUERY = """
SELECT id::text, attributes.values, outcomes.outcome
FROM unnest(%s::uuid[]) AS id
LEFT JOIN attributes ON attributes.decision_id = id
LEFT JOIN outcomes ON outcomes.decision_id = id
WHERE attributes.decision_id IS NOT NULL OR outcomes.decision_id IS NOT NULL
"""


@dataclasses.dataclass(frozen=True)
class Fact:
    """Either part may be missing: it has not arrived, or nobody knows it."""

    values: Mapping[str, t.Any] | None
    outcome: str | None


def read_facts(connection: psycopg.Connection[t.Any], decision_ids: Sequence[str]) -> dict[str, Fact]:
    """By decision id; an id that nothing is known of is left out. To be asked page by page."""
    rows = connection.execute(_QUERY, (list(decision_ids),))
    return {ident: Fact(values, outcome) for ident, values, outcome in rows}
