"""The path of a prediction, walked from outside on a node that has the clinic: every step is asked of the product itself.

    python -m tests.demo.path NODE [MODEL]     ask, ask again, look up, find the trace, tell outcomes, compare with scikit-learn

What was found is printed as one JSON object. A difference ends with exit code 1 and a sentence.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.demo.cluster import Cluster
from tests.demo.steps import DemoError
from tests.node.node import Node
from tests.node.podman import NodeError

__all__ = ("Gateway", "call", "find_trace", "fresh", "miss_and_hit", "open_gateway", "reference", "walk")

# The model as clients call it, and what it predicts.
MODEL = TARGET = "progression"
CLINIC = Path(__file__).with_name("clinic")
BATCH = 50
TRACE_SECONDS = 60
TOLERANCE = 1e-9
Answer = dict[str, t.Any]


@dataclass(frozen=True)
class Gateway:
    """The gateway as its clients see it."""

    address: str
    key: str

    def ask(self, method: str, path: str, body: t.Any = None, *, key: str | None = None) -> tuple[int, Answer]:
        headers = {"Authorization": f"Bearer {self.key if key is None else key}", "Content-Type": "application/json"}
        return call(f"{self.address}{path}", method, body, headers)

    def predict(self, rows: list[Answer], model: str = MODEL) -> Answer:
        status, answer = self.ask("POST", "/v1/predictions", {"model": model, "rows": rows})
        if status != 200:
            raise DemoError(f"the gateway answers {status}: {answer}")
        return answer


def call(
    url: str, method: str = "GET", body: t.Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Answer]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {}, method=method)  # noqa: S310 - a node of ours
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.loads(exc.read() or b"{}")
    except OSError as exc:
        raise DemoError(f"{method} {url}: {exc}") from exc


def open_gateway(node: Node, port: int = 30003) -> Gateway:
    key = Cluster(node).kubectl("get", "secret", "gateway-keys", "-o", "jsonpath={.data.default}")
    return Gateway(f"http://{node.address}:{port}", base64.b64decode(key).decode())


def reference(node: Node) -> list[Answer]:
    """Held-out rows, their truth, and what plain scikit-learn says of them."""
    script = (CLINIC / "reference.py").read_text()
    text = Cluster(node).kubectl("exec", "-i", "deployment/mindsdb", "--", "python", "-W", "ignore", "-c", script)
    return t.cast("list[Answer]", json.loads(text.splitlines()[-1]))


def walk(node: Node, model: str = MODEL) -> Answer:
    gateway, expected = open_gateway(node), reference(node)
    rows = [item["row"] for item in expected]
    new_row = miss_and_hit(gateway, rows[0], model)
    first = predict_all(gateway, rows, model)
    again = predict_all(gateway, rows, model)
    if not all(item["cached"] for item in again):
        raise DemoError("a row that was asked a moment ago was not answered from the cache")
    if [item["output"] for item in again] != [item["output"] for item in first]:
        raise DemoError("the cache answers otherwise than the model")
    farthest = compare(expected, first)
    found = look_up(gateway, node, first[0])
    for item, person in zip(first, expected, strict=True):
        status, answer = gateway.ask(
            "POST", f"/v1/decisions/{item['decision_id']}/outcome", {"outcome": person["truth"]}
        )
        if status not in (200, 201, 202):
            raise DemoError(f"an outcome was answered {status}: {answer}")
    right = sum(item["output"][TARGET] == person["truth"] for item, person in zip(first, expected, strict=True))
    return {
        "rows": len(rows),
        "new_row_cached": new_row,
        "missed": sum(not item["cached"] for item in first),
        "accuracy": right / len(rows),
        "farthest_from_scikit_learn": farthest,
        **found,
    }


def fresh(row: Answer, number: int) -> Answer:
    """A row that nobody asked before: the last digits of a measure are this moment."""
    return {**row, "bmi": row["bmi"] + (time.time_ns() % 10**9 + number) * 1e-12}


def miss_and_hit(gateway: Gateway, row: Answer, model: str) -> list[bool]:
    """Ask a new row twice: MindsDB answers it, and then the cache does. Returns whether each answer was cached."""
    new = fresh(row, 0)
    first, again = (gateway.predict([new], model)["predictions"][0] for _ in range(2))
    if first["cached"]:
        raise DemoError(f"a row that nobody asked before was answered from the cache: {first}")
    if not again["cached"]:
        raise DemoError(f"a row that was asked a moment ago was not answered from the cache: {again}")
    if first["output"] != again["output"]:
        raise DemoError(f"the cache answers otherwise than the model: {again}, and not {first}")
    return [first["cached"], again["cached"]]


def predict_all(gateway: Gateway, rows: list[Answer], model: str) -> list[Answer]:
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return [
        {**item, "model_version": answer["model_version"]}
        for answer in (gateway.predict(batch, model) for batch in batches)
        for item in answer["predictions"]
    ]


def compare(expected: list[Answer], answers: list[Answer]) -> float:
    """How far the worst probability is from that of plain scikit-learn."""
    farthest = 0.0
    for person, item in zip(expected, answers, strict=True):
        if item["output"][TARGET] != person["progression"]:
            raise DemoError(f"decision {item['decision_id']} is not what scikit-learn says: {item['output']}")
        explained = item["output"][f"{TARGET}_explain"]
        shares = (json.loads(explained) if isinstance(explained, str) else explained)["probabilities"]
        farthest = max(farthest, *(abs(shares[name] - share) for name, share in person["probabilities"].items()))
    if farthest > TOLERANCE:
        raise DemoError(f"a probability is {farthest:g} from that of scikit-learn")
    return farthest


def look_up(gateway: Gateway, node: Node, item: Answer) -> Answer:
    """The decision at the gateway, and its trace in MLflow with the version of the model that decided."""
    ident, version = item["decision_id"], item["model_version"]
    status, decision = gateway.ask("GET", f"/v1/decisions/{ident}")
    if status != 200 or decision["model_version"] != version or decision["output"] != item["output"]:
        raise DemoError(f"decision {ident} is kept as {status} {decision}, and was answered as {item}")
    if any(isinstance(value, int | float) for value in [decision["input"]["age"]]):
        raise DemoError(f"decision {ident} holds an age that was not generalised")
    trace = find_trace(f"http://{node.address}:30001", ident)
    tags = trace["tags"]
    if (tags["decision_id"], tags["mlflow_version"], tags["run_id"]) != (
        ident,
        version["mlflow_version"],
        version["run_id"],
    ):
        raise DemoError(f"the trace of decision {ident} has other tags than its answer: {tags}")
    return {"decision_id": ident, "trace_id": trace["trace_id"], "model_version": version}


def find_trace(mlflow: str, decision_id: str) -> Answer:
    """By its tag, as a person looks for it in MLflow; it arrives a moment after the answer."""
    status, answer = call(f"{mlflow}/api/2.0/mlflow/experiments/get-by-name?experiment_name=decisions")
    deadline = time.monotonic() + TRACE_SECONDS
    while True:
        if status == 200:
            place = {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": answer["experiment"]["experiment_id"]},
            }
            query = {"locations": [place], "filter": f"tag.decision_id = '{decision_id}'", "max_results": 2}
            _status, found = call(
                f"{mlflow}/api/3.0/mlflow/traces/search", "POST", query, {"Content-Type": "application/json"}
            )
            if traces := found.get("traces"):
                if len(traces) > 1:
                    raise DemoError(f"decision {decision_id} has {len(traces)} traces")
                return t.cast("Answer", traces[0])
        else:
            status, answer = call(f"{mlflow}/api/2.0/mlflow/experiments/get-by-name?experiment_name=decisions")
        if time.monotonic() > deadline:
            raise DemoError(f"MLflow has no trace of decision {decision_id} after {TRACE_SECONDS} s")
        time.sleep(1)


def main() -> int:
    try:
        print(json.dumps(walk(Node.named(sys.argv[1]), *sys.argv[2:3])))
    except (DemoError, NodeError) as exc:
        print(f"path: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
