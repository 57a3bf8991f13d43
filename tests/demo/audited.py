"""What an audit left behind, asked of MLflow, the gateway and the cluster: figures, report, verdicts, metric and Event.

python -m tests.demo.audited ready NODE              wait until MLflow and the audit's database have every decision
python -m tests.demo.audited check NODE < RESULT     compare what the audit wrote with plain arithmetic on the held-out rows
"""

from __future__ import annotations

import json
import re
import sys
import time
import typing as t
import urllib.request

from tests.demo.cluster import Cluster
from tests.demo.path import MODEL, Answer, call, open_gateway, reference
from tests.demo.steps import DemoError
from tests.node.node import Node
from tests.node.podman import NodeError

__all__ = ("check", "wait_delivered")

FAVOURABLE = "low"
TOLERANCE = 1e-9
WAIT_SECONDS = 180


def text_of(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=60) as answer:
            return t.cast("bytes", answer.read()).decode()
    except OSError as exc:
        raise DemoError(f"GET {url}: {exc}") from exc


def gauges(node: Node) -> dict[str, float]:
    lines = text_of(f"{open_gateway(node).address}/metrics").splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def wait_delivered(node: Node) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = gauges(node)
        waiting = {name: found[f"gateway_{name}"] for name in ("decisions_unshipped", "audit_undelivered")}
        if not any(waiting.values()):
            return
        if time.monotonic() > deadline:
            raise DemoError(f"the gateway still keeps what others are to have: {waiting}")
        time.sleep(1)


def expected_rates(node: Node) -> dict[str, float]:
    """By group of sex, from the truth and what scikit-learn says: plain counts."""
    people = reference(node)
    found = {}
    for sex in ("1", "2"):
        group = [item for item in people if f"{item['row']['sex']:g}" == sex]
        favoured = [item for item in group if item["progression"] == FAVOURABLE]
        low = [item for item in group if item["truth"] == FAVOURABLE]
        high = [item for item in group if item["truth"] != FAVOURABLE]
        base = f"sex.group.{sex}"
        found[f"{base}.accuracy"] = sum(item["progression"] == item["truth"] for item in group) / len(group)
        found[f"{base}.false_positive_rate"] = sum(item in favoured for item in high) / len(high)
        found[f"{base}.false_negative_rate"] = sum(item not in favoured for item in low) / len(low)
    return found


def check(node: Node, result: Answer, expect: dict[str, str]) -> Answer:
    audits = {audit["model"]: audit for audit in result["audits"]}
    verdicts = {name: audit["verdict"] for name, audit in audits.items()}
    if verdicts != expect:
        raise DemoError(f"the verdicts are {verdicts}, not {expect}: {json.dumps(result)[:2000]}")
    audit = audits[MODEL]
    mlflow = f"http://{node.address}:30001"
    status, answer = call(f"{mlflow}/api/2.0/mlflow/runs/get?run_id={audit['run_id']}")
    if status != 200:
        raise DemoError(f"MLflow answers {status} for the audit's run: {answer}")
    data = answer["run"]["data"]
    tags = {item["key"]: item["value"] for item in data["tags"]}
    metrics = {item["key"]: item["value"] for item in data["metrics"]}
    if (tags["model"], tags["mlflow_version"], tags["verdict"]) != (MODEL, audit["mlflow_version"], audit["verdict"]):
        raise DemoError(f"the audit's run has other tags than its result: {tags}")
    farthest = 0.0
    for name, value in expected_rates(node).items():
        farthest = max(farthest, abs(metrics[name] - value))
        if farthest > TOLERANCE:
            raise DemoError(f"{name} is {metrics[name]} in MLflow, and {value} by counting")
    report = text_of(f"{mlflow}/get-artifact?path=report.html&run_uuid={audit['run_id']}")
    if (
        not re.search(rf"{MODEL}, version {audit['mlflow_version']}", report)
        or "What this does not prove" not in report
    ):
        raise DemoError("the audit's report is not the report of this model")
    return {
        "verdicts": verdicts,
        "decisions": audit["decisions"],
        "labelled": audit["labelled"],
        "farthest": farthest,
        "report_bytes": len(report),
        "gauges": check_gauges(node, expect),
        "events": check_events(node) if "fail" in expect.values() else 0,
    }


def check_gauges(node: Node, expect: dict[str, str]) -> int:
    """The gateway reads verdicts each minute."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        names = [name for name in gauges(node) if name.startswith("gateway_audit_verdict{")]
        missing = [
            model
            for model, verdict in expect.items()
            if not any(f'model="{model}"' in name and f'verdict="{verdict}"' in name for name in names)
        ]
        if not missing:
            return len(names)
        if time.monotonic() > deadline:
            raise DemoError(f"the gateway's metrics do not show the verdicts of {', '.join(missing)}: {names}")
        time.sleep(2)


def check_events(node: Node) -> int:
    """A fail is told by the control plane: the audit's pod could not."""
    text = Cluster(node).kubectl("get", "events", "-o", "json")
    found = [
        item
        for item in json.loads(text)["items"]
        if item["involvedObject"]["name"].startswith("bias-audit") and "exit code 3" in item.get("message", "")
    ]
    if not found:
        raise DemoError("no Event of the cluster tells of the audit's verdict")
    return len(found)


def main() -> int:
    try:
        verb, node = sys.argv[1], Node.named(sys.argv[2])
        if verb == "ready":
            wait_delivered(node)
        else:
            given = json.load(sys.stdin)
            print(json.dumps(check(node, given["result"], given["expect"])))
    except (DemoError, NodeError) as exc:
        print(f"audited: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
