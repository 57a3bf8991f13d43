# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What to do so that MindsDB's data sources are as wanted. Pure: no I/O, no module object, no clock.

MindsDB keeps a data source's password and tells it to whoever is logged in, so passwords are compared as they are. They are in
no text that a plan makes: a step says whose parameters are to be set, and whoever applies it holds the values.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_sql import name_problem
from ansible_collections.airgap.mlops.plugins.module_utils._plan import StepPlan

__all__ = (
    "HIDDEN",
    "Datasource",
    "DatasourcePlan",
    "DatasourceState",
    "DatasourceStep",
    "check_datasources",
    "parse_databases",
    "plan_datasources",
    "shown_parameters",
)

HIDDEN = "hidden"
# An engine says which of its parameters are secret. This is for those that forget one.
_SOUNDS_SECRET = re.compile(r"passw|secret|token|credential|private|(?:^|_)(?:pwd|key)(?:$|_)|api_?key", re.IGNORECASE)
# The answer to a wrong kind of name, by what has it.
_TAKEN = {"project": "a project", "system": "a database of MindsDB itself", "ml": "an ML engine"}
_PERMANENT = frozenset(("files", "information_schema", "log"))


@dataclass(frozen=True)
class Datasource:
    """A data source as wanted."""

    name: str
    engine: str = ""
    parameters: t.Mapping[str, t.Any] = field(default_factory=dict)
    secrets: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    state: str = "present"


@dataclass(frozen=True)
class DatasourceState:
    """A data source, or what else has its name, as MindsDB has it."""

    name: str
    kind: str = "data"
    engine: str = ""
    parameters: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class DatasourceStep:
    action: str  # create | update | replace | remove
    name: str
    value: tuple[str, ...] = ()  # the parameters that change, by name

    def __str__(self) -> str:
        if self.action == "update":
            return f"set {', '.join(self.value)} of data source {self.name}"
        return f"{self.action} data source {self.name}"


class DatasourcePlan(StepPlan[DatasourceStep]):
    """What brings the data sources to what is wanted."""


def parse_databases(answer: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, DatasourceState]:
    """What GET /api/databases/ lists. A parameter that is null counts as not given: the API cannot take one away."""
    found = {}
    for item in answer:
        given = item.get("connection_data") or {}
        parameters = {key: value for key, value in given.items() if value is not None}
        name = str(item["name"])
        found[name.lower()] = DatasourceState(
            name, str(item.get("type") or "data"), item.get("engine") or "", parameters
        )
    return found


def check_datasources(wanted: t.Sequence[Datasource]) -> None:
    """Refuse what no server could do, before one is asked."""
    names = [source.name for source in wanted]
    problems = [f"data source {name} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for source in wanted:
        problems += [f"data source {source.name}: {problem}" for problem in _problems(source)]
    if problems:
        raise AirgapError(f"The wanted data sources cannot be: {'; '.join(problems)}.", problems=problems)


def _problems(source: Datasource) -> list[str]:
    problems = [problem for problem in (name_problem(source.name),) if problem]
    if source.name in _PERMANENT:
        problems.append("MindsDB has a database of its own under this name; choose another")
    if source.state != "present":
        return problems
    if name_problem(source.engine):
        problems.append(f"engine '{source.engine}': {name_problem(source.engine)}")
    twice = sorted(set(source.parameters) & set(source.secrets))
    problems += [f"{name} is given as a parameter and as a secret" for name in twice]
    problems += [
        f"{name} holds a secret: give it under secrets, not under parameters"
        for name in sorted(set(source.parameters) - set(twice))
        if _SOUNDS_SECRET.search(name)
    ]
    if "engine" in {*source.parameters, *source.secrets}:
        problems.append("engine is an option of its own, not a parameter")
    return problems


def plan_datasources(
    *,
    wanted: t.Sequence[Datasource],
    actual: t.Mapping[str, DatasourceState],
    secret_parameters: t.Mapping[str, t.Collection[str]],
) -> DatasourcePlan:
    """Compare, and say what to do in which order. `secret_parameters`: by engine, which of its parameters are secret."""
    check_datasources(wanted)
    problems = []
    for source in wanted:
        have = actual.get(source.name)
        if have and have.kind != "data":
            problems.append(f"{source.name} is {_TAKEN.get(have.kind, have.kind)} in MindsDB: choose another name")
        shown = sorted(set(source.parameters) & set(secret_parameters.get(source.engine, ())))
        problems += [f"data source {source.name}: {name} holds a secret: give it under secrets" for name in shown]
    if problems:
        raise AirgapError(f"Nothing was changed: {'; '.join(problems)}.", problems=problems)
    secrets = {source.name: _secret_names(source, actual.get(source.name), secret_parameters) for source in wanted}
    return DatasourcePlan(
        steps=tuple(step for source in wanted for step in _steps(source, actual.get(source.name))),
        before={source.name: _before(source, actual.get(source.name), secrets[source.name]) for source in wanted},
        after={source.name: _after(source, secrets[source.name]) for source in wanted},
    )


def _steps(source: Datasource, have: DatasourceState | None) -> t.Iterator[DatasourceStep]:
    if source.state == "absent":
        if have:
            yield DatasourceStep("remove", source.name)
    elif not have:
        yield DatasourceStep("create", source.name)
    elif have.engine != source.engine:
        yield DatasourceStep("replace", source.name)
    else:
        changed = _changed(source, have)
        if changed:
            yield DatasourceStep("update", source.name, changed)


def _changed(source: Datasource, have: DatasourceState) -> tuple[str, ...]:
    target = {**source.parameters, **source.secrets}
    names = sorted({*target, *have.parameters})
    return tuple(name for name in names if not _equal(target.get(name), have.parameters.get(name)))


def _equal(one: t.Any, other: t.Any) -> bool:
    """Equality that tells true from 1, as the engines do."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _secret_names(
    source: Datasource, have: DatasourceState | None, secret_parameters: t.Mapping[str, t.Collection[str]]
) -> set[str]:
    known = {*source.secrets, *secret_parameters.get(source.engine, ())}
    if have:
        known |= {*secret_parameters.get(have.engine, ()), *(n for n in have.parameters if _SOUNDS_SECRET.search(n))}
    return known


def shown_parameters(parameters: t.Mapping[str, t.Any], secret: t.Collection[str]) -> dict[str, t.Any]:
    """Parameters as they may be shown."""
    return {
        name: HIDDEN if name in secret or _SOUNDS_SECRET.search(name) else value
        for name, value in sorted(parameters.items())
    }


def _before(source: Datasource, have: DatasourceState | None, secret: set[str]) -> dict[str, t.Any]:
    """What a diff shows: whether a secret is the given one, never the secret."""
    if not have:
        return {"state": "absent"}
    if source.state == "absent":
        return {"state": "present"}
    shown = shown_parameters(have.parameters, secret)
    for name in secret & set(shown):
        if name in source.secrets:
            shown[name] = "as given" if _equal(source.secrets[name], have.parameters[name]) else "another one"
    return {"state": "present", "engine": have.engine, "parameters": shown}


def _after(source: Datasource, secret: set[str]) -> dict[str, t.Any]:
    if source.state == "absent":
        return {"state": "absent"}
    shown = {**shown_parameters(source.parameters, secret), **dict.fromkeys(source.secrets, "as given")}
    return {"state": "present", "engine": source.engine, "parameters": dict(sorted(shown.items()))}
