# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What to do so that MindsDB's models are as wanted. Pure: no I/O, no module object, no clock.

MindsDB itself says what a version was trained from: query, target, options and engine. Only the data source's name it keeps to
itself, so that is written into the version's tag, which no engine gets to see.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_sql import (
    SqlError,
    literal,
    name_problem,
    normal_query,
    query_problem,
    quote,
)
from ansible_collections.airgap.mlops.plugins.module_utils._plan import StepPlan

__all__ = (
    "Model",
    "ModelPlan",
    "ModelStep",
    "Version",
    "check_models",
    "differences",
    "newest",
    "parse_versions",
    "plan_models",
    "summary",
    "training_error",
)

# MindsDB takes these out of USING for itself.
_RESERVED = {
    "engine": "it is an option of the model",
    "tag": "this module keeps the data source in it",
    "active": "every version becomes the active one",
    "join_learn_process": "waiting is an option of the module",
}
_TAG = "datasource="


@dataclass(frozen=True)
class Model:
    """A model as wanted."""

    name: str
    target: str = ""
    datasource: str | None = None
    query: str | None = None
    engine: str = "tabular"
    options: t.Mapping[str, t.Any] = field(default_factory=dict)
    retrain: bool = False
    state: str = "present"

    @property
    def using(self) -> dict[str, t.Any]:
        """USING as it is sent. It is never empty: a RETRAIN without it would keep the options of the version before."""
        tag = {"tag": f"{_TAG}{self.datasource}"} if self.datasource else {}
        return {"engine": self.engine, **tag, **self.options}


@dataclass(frozen=True)
class Version:
    """One version of a model, as MindsDB has it."""

    number: int
    status: str
    active: bool
    target: str
    query: str | None
    options: t.Mapping[str, t.Any]
    engine: str
    datasource: str | None = None
    error: str = ""
    seconds: float | None = None

    @property
    def running(self) -> bool:
        return self.status not in ("complete", "error")


@dataclass(frozen=True)
class ModelStep:
    action: str  # create_engine | create | retrain | remove
    name: str
    why: str = ""

    def __str__(self) -> str:
        if self.action == "create_engine":
            return f"create ML engine {self.name}"
        if self.action == "create":
            return f"train model {self.name}"
        return f"{self.action} model {self.name}{f': {self.why}' if self.why else ''}"


@dataclass(frozen=True)
class ModelPlan(StepPlan[ModelStep]):
    """What brings the models to what is wanted. A version that is being trained already is waited for, which changes nothing."""

    pending: t.Mapping[str, int] = field(default_factory=dict)


def parse_versions(
    listed: t.Iterable[t.Mapping[str, t.Any]],
    *,
    engines: t.Mapping[tuple[str, int], str],
    tags: t.Mapping[tuple[str, int], str | None],
) -> dict[str, tuple[Version, ...]]:
    """The versions of each model, oldest first, from GET /api/projects/PROJECT/models."""
    found: dict[str, list[Version]] = {}
    for item in sorted(listed, key=lambda entry: int(entry["version"])):
        name, number = str(item["name"]), int(item["version"])
        definition = item.get("problem_definition") or {}
        before = found.setdefault(name, [])
        # A version that somebody retrained by hand has no tag, and the data source of the version before.
        inherited = before[-1].datasource if before else None
        version = Version(
            number=number,
            status=str(item.get("status")),
            active=bool(item.get("active")),
            target=str(definition.get("target") or item.get("predict") or ""),
            query=item.get("fetch_data_query"),
            options=definition.get("using") or {},
            engine=engines.get((name, number), ""),
            datasource=_tagged(tags.get((name, number))) or inherited,
            error=training_error(item),
            seconds=item.get("training_time"),
        )
        before.append(version)
    return {name: tuple(versions) for name, versions in found.items()}


def _tagged(tag: str | None) -> str | None:
    """The data source that a tag of ours names. A tag may be somebody else's."""
    return tag[len(_TAG) :] if tag and tag.startswith(_TAG) else None


def training_error(item: t.Mapping[str, t.Any]) -> str:
    """Why a training failed, in the words of the engine or the data source, without the line of MindsDB's code."""
    return re.sub(r", raised at: \S+#\d+$", "", str(item.get("error") or "").strip())


def newest(versions: t.Sequence[Version]) -> Version | None:
    return max(versions, key=lambda version: version.number, default=None)


def check_models(wanted: t.Sequence[Model], *, project: str = "mindsdb") -> None:
    """Refuse what no server could do, before one is asked."""
    names = [model.name for model in wanted]
    problems = [f"project '{project}': {name_problem(project)}"] if name_problem(project) else []
    problems += [f"model {name} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for model in wanted:
        problems += [f"model {model.name}: {problem}" for problem in _problems(model)]
    if problems:
        raise AirgapError(f"The wanted models cannot be: {'; '.join(problems)}.", problems=problems)


def _problems(model: Model) -> list[str]:
    problems = [name_problem(model.name)]
    if model.state == "present":
        if (model.datasource is None) != (model.query is None):
            problems.append("datasource and query belong together")
        problems += [
            _name_problem("engine", model.engine),
            _name_problem("data source", model.datasource),
            query_problem(model.query) if model.query is not None else "",
            _sql_problem("target", quote, model.target),
        ]
        for key, value in model.options.items():
            taken = f"option {key} is taken: {_RESERVED[key]}" if key in _RESERVED else _name_problem("option", key)
            problems += [taken, _sql_problem(f"option {key}", literal, value)]
    return [problem for problem in problems if problem]


def _name_problem(what: str, name: str | None) -> str:
    problem = name_problem(name) if name is not None else ""
    return f"{what} '{name}': {problem}" if problem else ""


def _sql_problem(what: str, write: t.Callable[[t.Any], str], value: t.Any) -> str:
    try:
        write(value)
    except SqlError as exc:
        return f"{what}: {exc}"
    return ""


def differences(model: Model, version: Version) -> list[str]:
    """In which words a version is not the wanted model."""
    query = None if model.query is None else normal_query(model.query)
    actual = None if version.query is None else normal_query(version.query)
    pairs = {
        "query": query == actual,
        "target": model.target == version.target,
        "engine": model.engine == version.engine,
        "options": _same(dict(model.options), dict(version.options)),
        # without a tag nobody knows, and what nobody knows is no reason to train again
        "datasource": model.datasource == version.datasource or not version.datasource,
    }
    return [word for word, equal in pairs.items() if not equal]


def _same(one: t.Any, other: t.Any) -> bool:
    """Equality of JSON values that tells true from 1, as an engine does."""
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def plan_models(
    *, wanted: t.Sequence[Model], actual: t.Mapping[str, t.Sequence[Version]], engines: t.Collection[str]
) -> ModelPlan:
    """Compare, and say what to do in which order. Raises with everything that stands in the way at once."""
    check_models(wanted)
    problems = [problem for model in wanted for problem in _obstacles(model, actual.get(model.name, ()))]
    if problems:
        raise AirgapError(f"Nothing was changed: {'; '.join(problems)}.", problems=problems)
    steps = [step for model in wanted for step in _steps(model, actual.get(model.name, ()))]
    training = {step.name for step in steps if step.action in ("create", "retrain")}
    missing = dict.fromkeys(m.engine for m in wanted if m.name in training and m.engine not in engines)
    pending = {
        model.name: last.number
        for model in wanted
        for last in [newest(actual.get(model.name, ()))]
        if last and last.running and model.state == "present"
    }
    return ModelPlan(
        steps=(
            *(step for step in steps if step.action == "remove"),
            *(ModelStep("create_engine", engine) for engine in missing),
            *(step for step in steps if step.action != "remove"),
        ),
        before={model.name: _before(model, actual.get(model.name, ())) for model in wanted},
        after={model.name: _after(model, actual.get(model.name, ()), model.name in training) for model in wanted},
        pending=pending,
    )


def _obstacles(model: Model, versions: t.Sequence[Version]) -> t.Iterator[str]:
    last = newest(versions)
    if model.state == "present" and model.query is None and last and last.query is not None:
        yield (
            f"model {model.name} was trained from a query, and MindsDB keeps that when it trains again: "
            "remove the model first (state absent), or choose another name"
        )


def _steps(model: Model, versions: t.Sequence[Version]) -> t.Iterator[ModelStep]:
    last, active = newest(versions), _active(versions)
    if model.state == "absent":
        if versions:
            yield ModelStep("remove", model.name)
    elif last is None:
        yield ModelStep("create", model.name)
    elif last.running and not differences(model, last):
        return  # somebody trains just this: wait for it
    elif active is None or active.status != "complete":
        yield ModelStep("retrain", model.name, f"version {last.number} is in state {last.status}")
    elif differences(model, active):
        yield ModelStep("retrain", model.name, f"changed {', '.join(differences(model, active))}")
    elif model.retrain:
        yield ModelStep("retrain", model.name, "asked for")


def _active(versions: t.Sequence[Version]) -> Version | None:
    """The version that answers. After a first training that failed this is the failed one."""
    return next((version for version in reversed(versions) if version.active), None)


def _before(model: Model, versions: t.Sequence[Version]) -> dict[str, t.Any]:
    shown = _active(versions) or newest(versions)
    if shown is None:
        return {"state": "absent"}
    if model.state == "absent":
        return {"state": "present"}
    last = newest(versions)
    if last and last.running and not differences(model, last):
        shown = last
    return {
        "state": "present",
        "datasource": shown.datasource or model.datasource,
        "query": None if shown.query is None else normal_query(shown.query),
        "target": shown.target,
        "engine": shown.engine,
        "options": dict(shown.options),
        "version": shown.number,
    }


def _after(model: Model, versions: t.Sequence[Version], training: bool) -> dict[str, t.Any]:
    if model.state == "absent":
        return {"state": "absent"}
    if not training:
        return _before(model, versions)
    last = newest(versions)
    return {
        "state": "present",
        "datasource": model.datasource,
        "query": None if model.query is None else normal_query(model.query),
        "target": model.target,
        "engine": model.engine,
        "options": dict(model.options),
        "version": last.number + 1 if last else 1,
    }


def summary(name: str, versions: t.Sequence[Version]) -> dict[str, t.Any]:
    """What modules return of one model."""
    shown = _active(versions) or newest(versions)
    if shown is None:
        return {"name": name, "state": "absent"}
    return {
        "name": name,
        "state": "present",
        "version": shown.number,
        "status": shown.status,
        "target": shown.target,
        "engine": shown.engine,
        "datasource": shown.datasource,
        "query": shown.query,
        "options": dict(shown.options),
        "error": shown.error,
        "training_seconds": shown.seconds,
    }
