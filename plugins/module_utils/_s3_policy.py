# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What a policy document allows, whatever its spelling. Pure: no I/O, no module object, no clock.

Two documents mean the same when they allow and deny the same (principal, action, resource, condition) one by one. So the
order of lists and of statements, a single string in place of a list of one, statements split or joined, Sid and Id make no
difference. NotAction, NotResource and NotPrincipal speak of a list as a whole and are compared as one.
"""

from __future__ import annotations

import itertools
import typing as t

__all__ = ("as_sent", "meaning", "policy_problems", "same_policy")

Document = t.Mapping[str, t.Any]
Atom = tuple[t.Hashable, ...]

# MinIO knows this version alone and writes it where a document has none.
_VERSION = "2012-10-17"
_STATEMENT_KEYS = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)


def same_policy(one: Document | None, other: Document | None) -> bool:
    """Whether two documents allow and deny the same; no document is the same as one without statements."""
    return meaning(one) == meaning(other)


def meaning(document: Document | None) -> tuple[str, frozenset[Atom]]:
    """A document taken apart into what cannot be split further."""
    if not document:
        return _VERSION, frozenset()
    atoms = frozenset(atom for statement in _statements(document) for atom in _atoms(statement))
    return str(document.get("Version") or _VERSION), atoms


def as_sent(document: Document) -> dict[str, t.Any]:
    """The document in the spelling that every server takes: MinIO refuses a statement without its list."""
    return {"Version": _VERSION, **document, "Statement": _statements(document)}


def policy_problems(document: Document) -> list[str]:
    """Why a server would refuse this document, as far as its shape tells."""
    statements = document.get("Statement")
    if not isinstance(statements, (dict, list)) or not statements:
        return ["it has no Statement"]
    problems = []
    for number, statement in enumerate(_statements(document), start=1):
        problems += [f"statement {number} {problem}" for problem in _statement_problems(statement)]
    return problems


def _statement_problems(statement: t.Any) -> list[str]:
    if not isinstance(statement, dict):
        return ["is not a mapping"]
    problems = []
    unknown = sorted(set(statement) - _STATEMENT_KEYS)
    if unknown:
        problems.append(f"has unknown keys: {', '.join(unknown)}")
    if statement.get("Effect") not in ("Allow", "Deny"):
        problems.append(f"has the Effect {statement.get('Effect')!r}: it must be Allow or Deny")
    if not _listed(statement.get("Action")) and not _listed(statement.get("NotAction")):
        problems.append("names no Action")
    return problems


def _statements(document: Document) -> list[t.Any]:
    statements = document.get("Statement") or []
    return [statements] if isinstance(statements, dict) else list(statements)


def _atoms(statement: Document) -> t.Iterator[Atom]:
    parts = (
        _alternatives("Principal", _principals(statement.get("Principal"))),
        _alternatives("Action", _listed(statement.get("Action"))),
        _alternatives("Resource", _listed(statement.get("Resource"))),
    )
    whole = (
        statement.get("Effect"),
        _principals(statement.get("NotPrincipal")),
        _listed(statement.get("NotAction")),
        _listed(statement.get("NotResource")),
        _condition(statement.get("Condition")),
    )
    for combination in itertools.product(*parts):
        yield (*whole, *combination)


def _alternatives(key: str, values: frozenset[t.Any]) -> list[t.Any]:
    """The values one by one; a key that is absent stays one (absent) alternative, so that the rest is still seen."""
    return [(key, value) for value in values] or [(key, None)]


def _listed(value: t.Any) -> frozenset[str]:
    """A string, a list of strings or nothing, as a set."""
    if value is None:
        return frozenset()
    if isinstance(value, (list, tuple, set, frozenset)):
        return frozenset(_text(item) for item in value)
    return frozenset((_text(value),))


def _text(value: t.Any) -> str:
    # true and "true", 10 and "10" are one condition value: servers store strings.
    return str(value).lower() if isinstance(value, bool) else str(value)


def _principals(value: t.Any) -> frozenset[tuple[str, str]]:
    """Everybody may be spelt "*" or {"AWS": "*"}."""
    if value is None:
        return frozenset()
    if not isinstance(value, dict):
        value = {"AWS": value}
    return frozenset((str(kind), name) for kind, names in value.items() for name in _listed(names))


def _condition(value: t.Any) -> frozenset[tuple[str, str, frozenset[str]]]:
    """All operators and keys must hold; the values of a key are alternatives."""
    return frozenset(
        (str(operator), str(key), _listed(values))
        for operator, keys in (value or {}).items()
        for key, values in keys.items()
    )
