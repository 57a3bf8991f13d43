"""The shared edge node: what tests outside of molecule need to reach its API server."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from tests.node.node import Node, list_nodes
from tests.run import molecule
from tests.run.process import ROOT
from tests.run.report import say
from tests.run.servers import program

__all__ = ("EDGE", "edge_node", "is_running")

EDGE = "edge1"
AGENT = "edge2"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"


def is_running() -> bool:
    """Whether the node is up and its API server says that it is ready."""
    try:
        done = Node.named(EDGE).execute("k3s", "kubectl", "get", "--raw", "/readyz")
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not running
        return False
    return done.returncode == 0


@contextlib.contextmanager
def edge_node(work: Path, failed: Callable[[], bool]) -> Iterator[dict[str, str]]:
    """Variables of a running edge node. What had to be started for it goes afterwards, unless something failed on it."""
    before = {node["name"] for node in list_nodes()}
    yield _variables(work)
    if failed():
        say("integration  nodes stay for a look")
    else:
        molecule.remove_nodes({EDGE, AGENT} - before)


def _variables(work: Path) -> dict[str, str]:
    """Where the API server is. The scenario k3s starts the node where it is not running."""
    if not is_running():
        tally = molecule.converge_only("k3s")
        if tally.failed:
            raise SystemExit("the edge node did not come up, so nothing can be tested on it")
    node = Node.named(EDGE)
    config = yaml.safe_load(node.execute("cat", KUBECONFIG).stdout)
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = f"https://{node.address}:6443"
    kubeconfig = work / "kubeconfig"
    kubeconfig.touch(0o600)
    kubeconfig.write_text(yaml.safe_dump(config))
    remote = shlex.join([sys.executable, "-m", "tests.run.kubectl"])
    kubectl = program(work / "bin/kubectl", f'cd {shlex.quote(str(ROOT))}\nexec {remote} "$@"\n')
    return {"kube_kubeconfig": str(kubeconfig), "kube_kubectl": str(kubectl)}
