# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""A MindsDB project's models: what versions there are, and the steps that train more. I/O."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import (
    MindsdbRefused,
    MindsdbServer,
    path,
)
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_models import (
    Model,
    ModelPlan,
    ModelStep,
    Version,
    differences,
    parse_versions,
    training_error,
)
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_sql import create_model, quote, retrain_model

__all__ = ("MindsdbModels", "Outcome", "Waited")

_POLL_SECONDS = 1.0
_POLL_SECONDS_MAX = 5.0
_LOG_EVERY = 30.0
# A server that ran out of memory while it trained comes back and says so; one that stays away longer is another fault.
_AWAY_SECONDS = 180.0


class Waited(t.NamedTuple):
    """How long one version was waited for, and in what state it was then, in MindsDB's words."""

    name: str
    version: int
    seconds: int
    status: str


class Outcome(t.NamedTuple):
    done: tuple[ModelStep, ...]
    failed: tuple[str, ...]  # a text for each training
    waited: tuple[Waited, ...] = ()


class MindsdbModels:
    """The models of one project. `log` is told how a training goes on."""

    def __init__(self, server: MindsdbServer, project: str, log: t.Callable[[str], None]) -> None:
        self._server = server
        self._project = project
        self._log = log

    def read(self, names: t.Collection[str] | None = None) -> dict[str, tuple[Version, ...]]:
        """The versions of these models, or of all; of each the active and the newest with its engine."""
        listed = self._listed()
        wanted = [item for item in listed if names is None or item["name"] in names]
        tags = {
            (str(row["name"]), int(row["version"])): row["tag"]
            for row in self._server.sql(
                "SELECT name, project, version, tag FROM information_schema.models", doing="list the tags of the models"
            )
            if row["project"] == self._project
        }
        last = {item["name"]: int(item["version"]) for item in sorted(wanted, key=lambda item: int(item["version"]))}
        engines = {
            (str(item["name"]), int(item["version"])): self._engine(item["name"], int(item["version"]))
            for item in wanted
            if item.get("active") or last[item["name"]] == int(item["version"])
        }
        return parse_versions(wanted, engines=engines, tags=tags)

    def _listed(self) -> list[dict[str, t.Any]]:
        answer = self._server.ask("GET", path("projects", self._project, "models"), doing="list the models")
        if answer is None:
            raise AirgapError(
                f"project {self._project} is not in {self._server.shown}: name one that is in the option project"
            )
        return list(answer)

    def _engine(self, name: str, number: int) -> str:
        return str(self._model(name, number).get("engine_name") or "")

    def _model(self, name: str, number: int) -> dict[str, t.Any]:
        where = path("projects", self._project, "models", f"{name}.{number}")
        answer = self._server.ask("GET", where, doing=f"read version {number} of model {name}")
        return dict(answer or {})

    def engines(self) -> set[str]:
        rows = self._server.sql("SELECT name FROM information_schema.ml_engines", doing="list the ML engines")
        return {str(row["name"]) for row in rows}

    def require_sources(self, models: t.Iterable[Model], planned: ModelPlan) -> None:
        """Refuse what a training would fail on at once: an engine or a data source that is not there."""
        problems: list[str] = []
        for step in planned.steps:
            if step.action == "create_engine":
                problems += self._engine_problems(step.name)
        listed = self._server.ask("GET", "/databases/", doing="list the data sources") or ()
        known = {str(item["name"]).lower() for item in listed}
        training = {step.name for step in planned.steps if step.action in ("create", "retrain")}
        problems += [
            f"model {model.name}: data source {model.datasource} is not in MindsDB; it has {', '.join(sorted(known))}"
            for model in models
            if model.name in training and model.datasource and model.datasource not in known
        ]
        if problems:
            raise AirgapError(f"Nothing was changed: {'; '.join(problems)}.", problems=problems)

    def _engine_problems(self, name: str) -> t.Iterator[str]:
        handler = self._server.ask("GET", path("handlers", name), doing=f"look for engine {name}")
        if handler is None or handler.get("type") != "ml":
            yield f"{self._server.shown} has no engine {name}: its image has no such ML handler"
        elif not (handler.get("import") or {}).get("success"):
            reason = str((handler.get("import") or {}).get("error_message")).strip()
            yield f"engine {name} cannot be used in {self._server.shown}: {reason}"

    def apply(self, plan: ModelPlan, models: t.Iterable[Model], *, wait: bool, timeout: float) -> Outcome:
        """Do the steps, one training at a time: two would share the server's memory."""
        done: list[ModelStep] = []
        failed: list[str] = []
        waited: list[Waited] = []
        trainings = {step.name: step for step in plan.steps if step.action in ("create", "retrain")}
        for step in plan.steps:
            if step not in trainings.values():
                self._simple(step)
                done.append(step)
        for model in models:
            name, pending = model.name, plan.pending.get(model.name)
            if pending and (wait or name in trainings):
                # One that somebody else began would become the active one if it ended after ours.
                problems, other = self._wait(name, pending, timeout, mine=name not in trainings)
                failed += problems
                waited.append(other)
            if name in trainings:
                try:
                    number = self._train(trainings[name], model)
                except MindsdbRefused as exc:
                    # The engine has looked at the definition, and nothing was begun. The next model may be a good one.
                    failed.append(_said_once(str(exc)))
                    continue
                done.append(trainings[name])
                if wait:
                    problems, own = self._wait(name, number, timeout, mine=True)
                    failed += problems
                    waited.append(own)
        return Outcome(tuple(done), tuple(failed), tuple(waited))

    def _simple(self, step: ModelStep) -> None:
        if step.action == "create_engine":
            # The handler's name stands bare: the parser would take backticks for a part of it. It is checked to be a plain name.
            self._server.sql(f"CREATE ML_ENGINE {quote(step.name)} FROM {step.name}", doing=str(step))
        else:
            self._server.ask("DELETE", path("projects", self._project, "models", step.name), doing=str(step))

    def _train(self, step: ModelStep, model: Model) -> int:
        write = create_model if step.action == "create" else retrain_model
        statement = write(
            project=self._project,
            name=model.name,
            datasource=model.datasource,
            query=model.query,
            target=model.target,
            using=model.using,
        )
        rows = self._server.sql(statement, doing=f"train model {model.name}", project=self._project)
        number = int(rows[0]["version"])
        self._require_as_given(model, number)
        self._log(f"{step}: version {number} is being trained")
        return number

    def _require_as_given(self, model: Model, number: int) -> None:
        """What MindsDB took must be what was wanted: its SQL is not always read as it is written."""
        item = self._model(model.name, number)
        taken = parse_versions([item], engines={(model.name, number): str(item.get("engine_name"))}, tags={})[
            model.name
        ]
        words = differences(model, taken[0])
        if words:
            raise AirgapError(
                f"model {model.name}: MindsDB took another {' and '.join(words)} than was given. It took the query {taken[0].query!r}, "
                f"the target {taken[0].target!r} and the options {dict(taken[0].options)!r}. Write these in plainer SQL."
            )

    def _wait(self, name: str, number: int, timeout: float, *, mine: bool) -> tuple[list[str], Waited]:
        """Wait until a version is trained or failed. Only a failure that is `mine` is one of this run."""
        begin = logged = seen = time.monotonic()
        pause = _POLL_SECONDS
        while True:
            try:
                item, seen = self._model(name, number), time.monotonic()
            except AirgapError:  # no pod is ready, nothing answers, or its database is not there yet
                if time.monotonic() - seen > _AWAY_SECONDS:
                    raise
                item = {"status": "unknown, for the server does not answer"}
            status = str(item.get("status", "gone"))
            waited = Waited(name, number, round(time.monotonic() - begin), status)
            if status == "complete":
                self._log(f"model {name}: version {number} is trained, after {waited.seconds} s")
                return [], waited
            if status in ("error", "gone"):
                reason = training_error(item) or "MindsDB does not say why"
                return [f"training of model {name} (version {number}) failed: {reason}"] if mine else [], waited
            if time.monotonic() - begin > timeout:
                problem = (
                    f"model {name} (version {number}) is still in state {status} after {timeout:.0f} s. MindsDB goes on with it: "
                    "run this again to wait for it, or raise train_timeout"
                )
                return [problem], waited
            if time.monotonic() - logged > _LOG_EVERY:
                logged = time.monotonic()
                self._log(f"model {name}: version {number} is in state {status} for {logged - begin:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, _POLL_SECONDS_MAX)

    def describe(self, name: str, number: int, section: str) -> list[dict[str, t.Any]]:
        """What the engine says of a version under this word."""
        where = path("projects", self._project, "models", f"{name}.{number}", "describe")
        try:
            rows = self._server.ask("GET", where, {"attribute": section}, doing=f"describe model {name}")
        except MindsdbRefused:  # an engine need not have anything to say
            return []
        return [dict(row) for row in rows or ()]


def _said_once(text: str) -> str:
    """An engine's error without the line of its traceback, which says the same again."""
    first, _newline, rest = text.partition("\n")
    tail = rest.partition(": ")[2].strip()
    return first if tail and first.endswith(tail) else text
