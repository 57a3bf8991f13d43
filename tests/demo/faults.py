"""What the gateway does while others are away, asked from outside: MindsDB, Redis, and the gateway itself, killed in the middle of its work.

    python -m tests.demo.faults NODE

Everything is back when it ends. A difference ends with exit code 1 and a sentence.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager

from tests.demo.cluster import Cluster
from tests.demo.path import MODEL, Answer, Gateway, find_trace, fresh, open_gateway, reference
from tests.demo.steps import DemoError
from tests.node.node import Node
from tests.node.podman import NodeError

__all__ = ("killed", "without_mindsdb", "without_redis")

WAIT_SECONDS = 300
CLIENTS = 4


def until(what: str, ready: t.Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise DemoError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.5)


def ready(gateway: Gateway, down: list[str]) -> bool:
    """It answers, and misses exactly these."""
    try:
        status, answer = gateway.ask("GET", "/readyz")
    except DemoError:
        return False
    return status == 200 and answer.get("down") == down


@contextmanager
def away(node: Node, gateway: Gateway, deployment: str) -> Iterator[None]:
    """Scaled to nothing rather than deleted: it stays away until it is brought back."""
    cluster = Cluster(node)
    cluster.kubectl("scale", f"deployment/{deployment}", "--replicas=0")
    cluster.kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={deployment}", "--timeout=120s")
    try:
        until(f"the gateway's word that {deployment} is away", lambda: ready(gateway, [deployment]))
        yield
    finally:
        cluster.kubectl("scale", f"deployment/{deployment}", "--replicas=1")
        cluster.kubectl("rollout", "status", f"deployment/{deployment}", f"--timeout={WAIT_SECONDS}s")
    until(f"the gateway's word that {deployment} is back", lambda: ready(gateway, []))


def without_mindsdb(node: Node, gateway: Gateway, rows: list[Answer]) -> Answer:
    known = rows[:5]
    before = gateway.predict(known)["predictions"]
    with away(node, gateway, "mindsdb"):
        still = gateway.predict(known)["predictions"]
        status, answer = gateway.ask("POST", "/v1/predictions", {"model": MODEL, "rows": [fresh(rows[0], 0)]})
    if not all(item["cached"] for item in still) or [i["output"] for i in still] != [i["output"] for i in before]:
        raise DemoError("without MindsDB the gateway did not go on with its cache")
    if status != 503 or answer.get("status") != 503:
        raise DemoError(f"without MindsDB a row that nobody asked before was answered {status}: {answer}")
    until("an answer after MindsDB came back", lambda: _answers(gateway, fresh(rows[0], 1)))
    return {"cached": len(still), "others": status}


def without_redis(node: Node, gateway: Gateway, rows: list[Answer]) -> Answer:
    with away(node, gateway, "redis"):
        answer = gateway.predict(rows[:2])
    if any(item["cached"] for item in answer["predictions"]) or not answer.get("warnings"):
        raise DemoError(f"without Redis the gateway answered {answer}, and did not say that there is no cache")
    return {"warnings": answer["warnings"]}


def killed(node: Node, gateway: Gateway, rows: list[Answer]) -> Answer:
    """Clients ask without a pause; the gateway's process is killed with SIGKILL; every answer that a client has is still known."""
    answered: list[str] = []
    stop = threading.Event()

    def ask(number: int) -> None:
        # all people in turn: what a few are asked often is what an audit of these decisions would find
        for turn, row in enumerate(itertools.cycle(rows[number::CLIENTS])):
            if stop.is_set():
                return
            try:
                answer = gateway.predict([row, fresh(row, turn)])
            except (DemoError, ValueError):
                time.sleep(0.1)  # it is away just now
            else:
                answered.extend(item["decision_id"] for item in answer["predictions"])

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        until("the first answers", lambda: len(answered) > 40)
        before = len(answered)
        kill(node)
        after = len(answered)  # some were still given by the one that is gone
        until("answers after the kill", lambda: len(answered) > after + 20)
    finally:
        stop.set()
        for client in clients:
            client.join()
    lost = [ident for ident in answered if gateway.ask("GET", f"/v1/decisions/{ident}")[0] != 200]
    if lost or len(set(answered)) != len(answered):
        raise DemoError(f"{len(lost)} of {len(answered)} answered decisions are lost: {lost[:3]}")
    for ident in (answered[0], answered[before - 1], answered[-1]):
        find_trace(f"http://{node.address}:30001", ident)
    return {"answered": len(answered), "before": before, "lost": 0}


def kill(node: Node) -> None:
    """SIGKILL to the first process of the container, from the node: no preStop, no drain."""
    cluster = Cluster(node)

    def pods() -> list[Answer]:
        text = cluster.kubectl("get", "pods", "-l", "app.kubernetes.io/name=gateway", "-o", "json")
        return t.cast("list[Answer]", json.loads(text)["items"])

    def restarts(of: list[Answer]) -> int:
        return sum(one["restartCount"] for pod in of for one in pod["status"].get("containerStatuses", []))

    before = pods()
    uid = before[0]["metadata"]["uid"].replace("-", "[-_]")
    script = (
        f'for p in /proc/[0-9]*; do grep -qs "{uid}" "$p/cgroup" || continue; '
        'tr "\\0" " " < "$p/cmdline" | grep -q "gateway serve" && kill -9 "${p#/proc/}"; done; true'
    )
    done = node.execute("sh", "-c", script)
    if done.returncode != 0:
        raise DemoError(f"the gateway's process on node {node.name} was not killed: {done.stderr}")
    until("the restart of the gateway's container", lambda: restarts(pods()) > restarts(before), 60)


def _answers(gateway: Gateway, row: Answer) -> bool:
    return gateway.ask("POST", "/v1/predictions", {"model": MODEL, "rows": [row]})[0] == 200


def refused(gateway: Gateway, rows: list[Answer]) -> Answer:
    """Bad questions, each with its status and one sentence."""
    row = rows[0]
    cases: dict[str, tuple[int, dict[str, t.Any], str | None]] = {
        "wrong key": (401, {"model": MODEL, "rows": [row]}, "wrong"),
        "unknown model": (404, {"model": "nobody", "rows": [row]}, None),
        "missing column": (422, {"model": MODEL, "rows": [{"age": 40}]}, None),
        "text for a number": (422, {"model": MODEL, "rows": [{**row, "age": "forty"}]}, None),
        "no rows": (400, {"model": MODEL, "rows": []}, None),
    }
    found = {}
    for name, (wanted, body, key) in cases.items():
        status, answer = gateway.ask("POST", "/v1/predictions", body, key=key)
        found[name] = status
        if status != wanted or not answer.get("title"):
            raise DemoError(f"{name} was answered {status} {answer}, not {wanted} with a sentence")
    return found


def main() -> int:
    try:
        node = Node.named(sys.argv[1])
        gateway, rows = open_gateway(node), [item["row"] for item in reference(node)]
        found = {
            "refused": refused(gateway, rows),
            "without_mindsdb": without_mindsdb(node, gateway, rows),
            "without_redis": without_redis(node, gateway, rows),
            "killed": killed(node, gateway, rows),
        }
        print(json.dumps(found))
    except (DemoError, NodeError) as exc:
        print(f"faults: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
