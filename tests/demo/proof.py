"""The functional proof: what a site is for works, survives lost pods, a reboot and a power cut, and nothing left the node.

Everything is asked from outside, with tools that are not under test: a plain MLflow client, kubectl, packet counters.

    python -m tests.demo.proof demo        the whole proof on a node that `make demo` converged
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.demo.cluster import Cluster
from tests.demo.playbook import run_playbook
from tests.demo.predictions import ask_again, prove_predictions
from tests.demo.steps import DemoError, run_logged
from tests.node.node import ROOT, Node
from tests.node.podman import NodeError

__all__ = ("Proof",)

# A client that is handed an address of the cluster's inside retries for minutes; this is far more than an honest load takes.
_CLIENT_SECONDS = 180
_RECOVERY_SECONDS = 300
# A converged rerun sends modules and arguments; images are hundreds of MB.
_RERUN_BYTES = 32 << 20


@dataclass
class Proof:
    node: Node
    port: int = 30001
    artifact_mib: int = 50
    model_mib: int = 200
    say: Callable[[str], None] = field(default=lambda text: print(f"      {text}", flush=True))
    decision: str = field(default="", init=False)

    @property
    def url(self) -> str:
        return f"http://{self.node.address}:{self.port}"

    @property
    def inventory(self) -> str:
        return str(ROOT / "inventories" / self.node.name)

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.node)

    @property
    def folder(self) -> Path:
        return ROOT / "build/proof" / self.node.name

    def use(self) -> None:
        """Log a run, a file and a model, and read them back."""
        self._client("write", f"--artifact-mib={self.artifact_mib}", f"--model-mib={self.model_mib}")
        self._client("read")

    def predict(self) -> None:
        """Ask the site's model in SQL and through the gateway, find its decision in MLflow, and audit."""
        self.decision = prove_predictions(self.node, self.inventory, self.folder, self.say)

    def rerun_changes_nothing(self, *playbook: str) -> None:
        """The same playbook again, first in check mode: changed=0, no image sent, the same k3s process."""
        cluster = self.cluster
        pid = cluster.k3s_pid()
        self._changes_nothing("check mode on a converged site", "check.log", *playbook, "--check", "--diff")
        received, started = cluster.received_bytes(), time.monotonic()
        self._changes_nothing("a second run", "rerun.log", *playbook)
        took, sent = time.monotonic() - started, cluster.received_bytes() - received
        if sent > _RERUN_BYTES:
            raise DemoError(f"a second run sent {sent >> 20} MiB to the node, so it sent images again")
        if cluster.k3s_pid() != pid:
            raise DemoError(f"a second run restarted k3s: process {pid} became {cluster.k3s_pid()}")
        self.say(
            f"a second run changed nothing in {took:.0f} s, sent {sent / 1e6:.1f} MB in all, left k3s' process {pid} alone"
        )

    def _changes_nothing(self, what: str, log: str, *playbook: str) -> None:
        recap = run_playbook(*playbook, log=self.folder / log, echo=False)
        if recap.changed:
            raise DemoError(f"{what} changed something: {'; '.join(recap.changed_tasks)} (log: {self.folder / log})")

    def survives_lost_pods(self) -> None:
        since = self.cluster.now()
        count = self.cluster.delete_pods()
        self.say(f"deleted all {count} pods")
        self._recovered(since)

    def survives_reboot(self) -> None:
        since = self.cluster.now()
        self.node.restart()
        self.say("restarted the node")
        self._recovered(since)

    def survives_power_cut(self) -> None:
        since = self.cluster.now()
        self.node.kill()
        self.node.up()
        self.say("cut the node's power and switched it on again")
        self._recovered(since)

    def nothing_left(self) -> None:
        """Since the node was made, before the first task: no packet left and no outside name was looked up."""
        egress = self.node.egress()
        if not egress.silent:
            sources = sorted(
                {f"{item['name']} by {item['source']}" for item in egress.lookups if item["name"] in egress.names}
            )
            raise DemoError(
                f"{egress.counters.packets} packets tried to leave node {self.node.name} {egress.counters.destinations}; "
                f"outside names looked up: {', '.join(sources) or 'none'}"
            )
        self.say(f"0 packets left, 0 outside names were looked up ({len(egress.lookups)} other names were)")

    @property
    def written(self) -> Path:
        """What the client wrote. It is there only after a whole proof, and belongs to that node."""
        return self.folder / "written.json"

    def everything(self, *playbook: str) -> None:
        self.written.unlink(missing_ok=True)
        try:
            self._everything(*playbook)
        except BaseException:
            self.written.unlink(missing_ok=True)
            raise

    def again(self) -> None:
        """After a run that changed nothing: what a whole proof wrote is still there, and still nothing left."""
        self._client("read")
        self.nothing_left()

    def _everything(self, *playbook: str) -> None:
        self.use()
        self.predict()
        self.rerun_changes_nothing(*playbook)
        self.survives_lost_pods()
        self.survives_reboot()
        self.survives_power_cut()
        self.nothing_left()

    def _recovered(self, since: float) -> None:
        self.cluster.wait_ready(since, _RECOVERY_SECONDS)
        self._client("read")
        if self.decision:
            self.say(ask_again(self.node, self.decision))

    def _client(self, verb: str, *flags: str) -> None:
        """Run the client in a process of its own: with a time limit, and without any setting of MLflow."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.demo.client", verb, self.url, str(self.written), *flags]
        unset = [f"--unset={name}" for name in os.environ if name.startswith(("MLFLOW_", "AWS_"))]
        env = {
            "NO_PROXY": self.node.address, "no_proxy": self.node.address,
            "DO_NOT_TRACK": "true",  # the client's own telemetry would leave this machine
            "GIT_PYTHON_REFRESH": "quiet",
        }  # fmt: skip
        run_logged(["env", *unset, *command], self.folder / f"{verb}.log", env=env, timeout=_CLIENT_SECONDS)


def main() -> int:
    try:
        proof = Proof(Node.named(sys.argv[1]))
        proof.everything("-i", proof.inventory, str(ROOT / "site.yml"))
    except (DemoError, NodeError) as exc:
        print(f"proof: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
