# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""MindsDB's data sources: what a task wants, what the server has, and the steps that change them. I/O."""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import MindsdbServer, path, read_secret_key
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_datasources import (
    HIDDEN,
    Datasource,
    DatasourcePlan,
    DatasourceState,
    DatasourceStep,
    parse_databases,
    shown_parameters,
)

__all__ = ("MindsdbDatasources", "read_datasources")


def read_datasources(params: t.Mapping[str, t.Any], *, secrets: bool) -> list[Datasource]:
    """The data sources that a module's options want; without `secrets` no Secret is read, and every secret is empty."""
    return [
        Datasource(
            name=item["name"],
            engine=item["engine"] or "",
            parameters={key: value for key, value in item["parameters"].items() if value is not None},
            secrets=_secrets(params, item, read=secrets),
            state=item["state"],
        )
        for item in params["datasources"]
    ]


def _secrets(params: t.Mapping[str, t.Any], item: t.Mapping[str, t.Any], *, read: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in item["secrets"]:
        if entry["parameter"] in found:
            raise AirgapError(
                f"data source {item['name']} has two secrets for its parameter {entry['parameter']}: keep one"
            )
        found[entry["parameter"]] = _secret(params, item, entry) if read else ""
    return found


def _secret(params: t.Mapping[str, t.Any], item: t.Mapping[str, t.Any], entry: t.Mapping[str, t.Any]) -> str:
    if entry["value"] is not None or item["state"] != "present":
        return entry["value"] or ""
    return read_secret_key(params, entry["name"], entry["key"], f"secrets of data source {item['name']}")


class MindsdbDatasources:
    """The data sources of one server."""

    def __init__(self, server: MindsdbServer) -> None:
        self._server = server

    def read(self) -> dict[str, DatasourceState]:
        """Everything whose name a data source could not have any more, too."""
        rows = self._server.sql("SELECT name FROM information_schema.ml_engines", doing="list the ML engines")
        engines = [{"name": row["name"], "type": "ml"} for row in rows]
        listed = self._server.ask("GET", "/databases/", doing="list the data sources") or []
        return parse_databases([*engines, *listed])

    def secret_parameters(
        self, wanted: t.Iterable[Datasource], actual: t.Mapping[str, DatasourceState]
    ) -> dict[str, frozenset[str]]:
        """By engine, which parameters it calls secret. An engine that cannot be used is refused here, before any change."""
        needed = {source.engine: source.name for source in wanted if source.state == "present"}
        found = {engine: self._secret_arguments(engine, name) for engine, name in needed.items()}
        for source in wanted:
            have = actual.get(source.name)
            if have and have.engine and have.engine not in found:
                found[have.engine] = self._secret_arguments(have.engine, None)
        return found

    def _secret_arguments(self, engine: str, name: str | None) -> frozenset[str]:
        handler = self._server.ask("GET", path("handlers", engine), doing=f"look for engine {engine}") or {}
        state = handler.get("import") or {}
        if name and handler.get("type") != "data":
            raise AirgapError(
                f"Nothing was changed: data source {name}: {self._server.shown} has no engine {engine} for data. "
                "Name one that its image has."
            )
        if name and not state.get("success"):
            reason = str(state.get("error_message")).strip()
            raise AirgapError(
                f"Nothing was changed: data source {name}: engine {engine} cannot be used in {self._server.shown}: {reason}"
            )
        arguments = handler.get("connection_args") or {}
        return frozenset(key for key, about in arguments.items() if isinstance(about, dict) and about.get("secret"))

    def secrets(self, states: t.Iterable[DatasourceState]) -> list[str]:
        """The values that must not be shown."""
        return [
            str(value)
            for state in states
            for name, value in state.parameters.items()
            if value and shown_parameters({name: value}, self._secret_arguments(state.engine, None))[name] == HIDDEN
        ]

    def describe(self, state: DatasourceState, *, connect: bool) -> dict[str, t.Any]:
        """What is told of one data source."""
        shown = shown_parameters(state.parameters, self._secret_arguments(state.engine, None))
        found = {"name": state.name, "engine": state.engine, "parameters": shown}
        if not connect:
            return found
        where = f"{path('databases', state.name)}?check_connection=true"
        answer = self._server.ask("GET", where, doing=f"try the connection of data source {state.name}") or {}
        status = answer.get("connection_status") or {}
        return {
            **found,
            "connects": bool(status.get("success")),
            "error": str(status.get("error_message") or "").strip(),
        }

    def apply(
        self,
        plan: DatasourcePlan,
        wanted: t.Iterable[Datasource],
        actual: t.Mapping[str, DatasourceState],
        *,
        try_connections: bool,
    ) -> None:
        sources = {source.name: source for source in wanted}
        if try_connections:
            self._require_connections([sources[step.name] for step in plan.steps if step.action != "remove"])
        for step in plan.steps:
            self._apply_step(step, sources[step.name], actual.get(step.name))

    def _require_connections(self, sources: t.Iterable[Datasource]) -> None:
        problems = []
        for source in sources:
            body = {**source.parameters, **source.secrets, "engine": source.engine}
            doing = f"try the connection of data source {source.name}"
            answer = self._server.ask("POST", "/databases/status", body, doing=doing) or {}
            if answer.get("status") != "success":
                problems.append(f"data source {source.name} cannot connect: {str(answer.get('detail')).strip()}")
        if problems:
            raise AirgapError(
                f"Nothing was changed: {'; '.join(problems)}. Mend the parameters or the server, or set try_connections to false.",
                problems=problems,
            )

    def _apply_step(self, step: DatasourceStep, source: Datasource, have: DatasourceState | None) -> None:
        if step.action in ("remove", "replace"):
            # The server knows its own spelling of the name alone.
            self._server.ask("DELETE", path("databases", have.name if have else step.name), doing=str(step))
        if step.action == "remove":
            return
        # The API keeps what it is not told, so what goes is set to null, which the engines take for not given.
        gone = dict.fromkeys(have.parameters) if have and step.action == "update" else {}
        parameters = {**gone, **source.parameters, **source.secrets}
        body = {"database": {"engine": source.engine, "parameters": parameters}}
        self._server.ask("PUT", path("databases", step.name), body, doing=str(step))
