"""What `make demo` shows of models: trained from a table, versioned in MLflow, asked in SQL and through the gateway, audited."""

from __future__ import annotations

import base64
import json
import typing as t
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.demo.audited import check, wait_delivered
from tests.demo.cluster import Cluster
from tests.demo.path import CLINIC, MODEL, TARGET, Answer, call, open_gateway, reference, walk
from tests.demo.playbook import run_playbook
from tests.demo.steps import DemoError
from tests.node.node import ROOT, Node

__all__ = ("WITHOUT_CLINIC", "ask_again", "bring_clinic", "join_in_sql", "prove_predictions")

# The demo's inventory has the clinic's data source, model and policy. They want its table, which is made on a platform without them.
_VARIABLES = ROOT / "inventories/demo/host_vars/demo.yml"
_WITHOUT_CLINIC: dict[str, list[t.Any]] = {name: [] for name in yaml.safe_load(_VARIABLES.read_text())}
WITHOUT_CLINIC = ("-e", json.dumps(_WITHOUT_CLINIC))
_JOIN = "SELECT t.age, m.progression FROM clinic.patients AS t JOIN mindsdb.progression AS m LIMIT 5"


def bring_clinic(inventory: str, log: Path) -> None:
    """Make the table that the site's model learns from."""
    run_playbook("-i", inventory, str(CLINIC / "prepare.yml"), log=log)


def prove_predictions(node: Node, inventory: str, folder: Path, say: Callable[[str], None]) -> str:
    """Walk the whole path. Returns the id of one decision."""
    say(join_in_sql(node))
    found = walk(node)
    version = found["model_version"]
    say(
        f"the gateway answered {found['rows']} held-out rows of {MODEL} (MLflow version {version['mlflow_version']}), "
        f"{found['missed']} of them from MindsDB, then all from the cache, as a new row was missed and then hit; accuracy {found['accuracy']:.3f}, "
        f"farthest from plain scikit-learn {found['farthest_from_scikit_learn']:.1g}"
    )
    say(f"decision {found['decision_id']} is trace {found['trace_id']} of run {version['run_id']}")
    wait_delivered(node)
    run_playbook("-i", inventory, str(ROOT / "playbooks/audit.yml"), log=folder / "audit.log", echo=False)
    audit = _last_audit(node)
    seen = check(node, {"audits": [audit]}, {MODEL: audit["verdict"]})
    say(
        f"the audit says {audit['verdict']} over {seen['labelled']} outcomes; its report: "
        f"http://{node.address}:30001/#/experiments/{audit['experiment_id']}/runs/{audit['run_id']}"
    )
    return str(found["decision_id"])


def ask_again(node: Node, decision: str) -> str:
    """After pods or the node were lost: the decision is still known, and the model still answers."""
    gateway = open_gateway(node)
    status, answer = gateway.ask("GET", f"/v1/decisions/{decision}")
    if status != 200:
        raise DemoError(f"decision {decision} is lost: the gateway answers {status} {answer}")
    first = reference(node)[0]
    said = gateway.predict([first["row"]])["predictions"][0]["output"][TARGET]
    if said != first["progression"]:
        raise DemoError(f"the gateway says {said} of a row of which scikit-learn says {first['progression']}")
    return f"decision {decision} is still known, and the gateway answers"


def join_in_sql(node: Node) -> str:
    """As somebody with a MindsDB client does it: rows of the table, and what the model says of each."""
    address = f"http://{node.address}:30002"
    login = {key: _secret(node, "mindsdb-secret", key) for key in ("username", "password")}
    status, answer = call(f"{address}/api/login", "POST", login, {"Content-Type": "application/json"})
    if status != 200:
        raise DemoError(f"MindsDB refuses the login of secret mindsdb-secret: {status} {answer}")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {answer['token']}"}
    status, answer = call(f"{address}/api/sql/query", "POST", {"query": _JOIN}, headers)
    rows = answer.get("data", [])
    if status != 200 or answer.get("type") != "table" or len(rows) != 5 or {row[1] for row in rows} - {"low", "high"}:
        raise DemoError(f"MindsDB answers {_JOIN} with {status} {answer}")
    return f"{_JOIN}: {', '.join(f'{age} {said}' for age, said in rows)}"


def _secret(node: Node, name: str, key: str) -> str:
    return base64.b64decode(Cluster(node).kubectl("get", "secret", name, "-o", f"jsonpath={{.data.{key}}}")).decode()


def _last_audit(node: Node) -> Answer:
    """The newest run of experiment bias-audit, as the audit itself would describe it."""
    mlflow = f"http://{node.address}:30001/api/2.0/mlflow"
    status, answer = call(f"{mlflow}/experiments/get-by-name?experiment_name=bias-audit")
    if status != 200:
        raise DemoError(f"MLflow has no experiment bias-audit: {answer}")
    experiment = answer["experiment"]["experiment_id"]
    wanted = {"experiment_ids": [experiment], "max_results": 1, "order_by": ["attributes.start_time DESC"]}
    _status, answer = call(f"{mlflow}/runs/search", "POST", wanted, {"Content-Type": "application/json"})
    run = answer["runs"][0]
    tags: dict[str, t.Any] = {item["key"]: item["value"] for item in run["data"]["tags"]}
    metrics = {item["key"]: item["value"] for item in run["data"]["metrics"]}
    return {
        "experiment_id": experiment,
        "run_id": run["info"]["run_id"],
        **{name: tags[name] for name in ("model", "mlflow_version", "verdict")},
        "decisions": int(metrics["decisions"]),
        "labelled": int(metrics["decisions.labelled"]),
    }
