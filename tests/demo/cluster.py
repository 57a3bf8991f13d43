"""The cluster as seen on its node: k3s' process, pods, deployments. Read with kubectl over SSH, not with the code under test."""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from tests.demo.steps import DemoError
from tests.node.node import Node

__all__ = ("Cluster", "why_not_ready")


@dataclass(frozen=True)
class Cluster:
    node: Node
    namespace: str = "mlops"

    def kubectl(self, *args: str) -> str:
        done = self.node.execute("k3s", "kubectl", "--namespace", self.namespace, *args)
        if done.returncode != 0:
            raise DemoError(f"kubectl {' '.join(args)} on node {self.node.name}: {done.stderr.strip()}")
        return done.stdout

    def k3s_pid(self) -> int:
        """k3s' main process: it must not change unless its binary or configuration did."""
        shown = self.node.execute("systemctl", "show", "--property=MainPID", "--value", "k3s").stdout.strip()
        if shown in ("", "0"):
            raise DemoError(f"k3s is not running on node {self.node.name}")
        return int(shown)

    def received_bytes(self) -> int:
        """What arrived on the node's interface since it was booted."""
        return int(self.node.execute("cat", "/sys/class/net/eth0/statistics/rx_bytes").stdout)

    def memory_mib(self) -> int:
        """Resident memory of everything on the node, pods included: the working set of its control group."""
        script = "cat /sys/fs/cgroup/memory.current /sys/fs/cgroup/memory/memory.usage_in_bytes 2>/dev/null | head -1"
        usage = int(self.node.execute("sh", "-c", script).stdout)
        script = "cat /sys/fs/cgroup/memory.stat /sys/fs/cgroup/memory/memory.stat 2>/dev/null"
        stat = dict(line.split() for line in self.node.execute("sh", "-c", script).stdout.splitlines())
        inactive = int(stat.get("total_inactive_file", stat.get("inactive_file", "0")))
        return (usage - inactive) >> 20

    def deployments(self) -> list[dict[str, t.Any]]:
        found: list[dict[str, t.Any]] = json.loads(self.kubectl("get", "deployments", "--output=json"))["items"]
        return found

    def pods(self) -> list[dict[str, t.Any]]:
        found: list[dict[str, t.Any]] = json.loads(self.kubectl("get", "pods", "--output=json"))["items"]
        return found

    def delete_pods(self) -> int:
        names = {pod["metadata"]["name"] for pod in self.pods()}
        self.kubectl("delete", "pods", "--all", "--wait=true", "--timeout=120s")
        return len(names)

    def now(self) -> float:
        return float(self.node.execute("date", "+%s").stdout)

    def wait_ready(self, since: float, seconds: float) -> None:
        """Until every deployment has all its pods, each ready and each started after `since` (the node's clock)."""

        def missing() -> str:
            wanted = sum(item["spec"]["replicas"] for item in self.deployments())
            states = [
                why_not_ready(pod, since)
                for pod in self.pods()
                if pod["status"]["phase"] not in ("Succeeded", "Failed")
            ]
            late = [state for state in states if state]
            if late or len(states) < wanted:
                return "; ".join(late) or f"{len(states)} of {wanted} pods are there"
            return ""

        _until(missing, seconds, f"the pods of {self.namespace} did not become ready")


def why_not_ready(pod: dict[str, t.Any], since: float) -> str:
    """Why a pod is not ready yet, or nothing."""
    name = pod["metadata"]["name"]
    if "deletionTimestamp" in pod["metadata"]:
        return f"{name} is being deleted"
    for container in pod["status"].get("containerStatuses", []):
        running = container["state"].get("running")
        if not running:
            return f"{name}: {json.dumps(container['state'])}"
        if datetime.fromisoformat(running["startedAt"]).timestamp() < since:
            return f"{name} has not been started again"
    conditions = {item["type"]: item["status"] for item in pod["status"].get("conditions", [])}
    return "" if conditions.get("Ready") == "True" else f"{name} is not ready"


def _until(missing: Callable[[], str], seconds: float, problem: str) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            why = missing()
        except DemoError as exc:  # the API server itself may still be starting
            why = str(exc)
        if not why:
            return
        if time.monotonic() > deadline:
            raise DemoError(f"{problem} within {seconds:.0f} s: {why}")
        time.sleep(1)
