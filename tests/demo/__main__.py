"""`make demo` and `make demo-down`: from nothing to a proven site on a sealed node of this machine, and back.

python -m tests.demo up      every step is done only where its result is missing. Where a site that passed the whole proof was not
                             changed, that is read back; with PROOF=full in the environment all of it is proved again
python -m tests.demo bundle  the first two steps alone, which need no node
python -m tests.demo down    remove the node and its data; what was built stays in build/ and the cache
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

from tests.demo.bundle import make_bundle, make_images
from tests.demo.cluster import Cluster
from tests.demo.k3s import K3s, find_k3s
from tests.demo.playbook import run_playbook
from tests.demo.predictions import WITHOUT_CLINIC, bring_clinic
from tests.demo.proof import Proof
from tests.demo.steps import DemoError, Steps
from tests.demo.table import format_table, services
from tests.node.node import ROOT, Node
from tests.node.podman import NodeError
from tests.node.seal import prove_seal

_INVENTORY = ROOT / "inventories/demo"
_SITE = ("-i", str(_INVENTORY), str(ROOT / "site.yml"))
_LOGS = ROOT / "build/demo"


def _up(node: Node) -> None:
    whole = _wants_whole_proof()
    steps = Steps(6)
    k3s = _make_bundle(steps)
    with steps.step("Start the sealed node"):
        if node.up():
            for sentence in prove_seal(node):
                _say(sentence)
        _say(f"{node.name} is at {node.address}")
    proof = Proof(node)
    with steps.step("Converge the site over SSH"):
        if not proof.written.exists():
            # What a model learns from must be there before the model: the platform, its table, then the site with both.
            run_playbook(*_SITE, *WITHOUT_CLINIC, log=_LOGS / "platform.log")
            bring_clinic(str(_INVENTORY), _LOGS / "clinic.log")
        recap = run_playbook(*_SITE, log=_LOGS / "site.log")
    if whole or recap.changed or not proof.written.exists():
        with steps.step("Prove that it works"):
            proof.everything(*_SITE)
    else:
        with steps.step("Read back what was proved before (the whole proof again: make demo PROOF=full)"):
            proof.again()
    with steps.step("Look at what runs"):
        _summary(node, k3s.description, recap.changed)


def _make_bundle(steps: Steps) -> K3s:
    with steps.step("Find k3s (where it has to be built, half an hour on 2 cores, and the images beside it)"):
        k3s = find_k3s(lambda: make_images(_LOGS / "images.log"))
        _say(f"this runs {k3s.description}")
    with steps.step("Make the bundle"):
        make_bundle(k3s, _LOGS / "bundle.log")
    return k3s


def _wants_whole_proof() -> bool:
    wanted = os.environ.get("PROOF", "")
    if wanted not in ("", "full"):
        raise DemoError(f"PROOF is {wanted!r}, and can only be full")
    return wanted == "full"


def _summary(node: Node, k3s: str, changed: int) -> None:
    cluster = Cluster(node)
    print(f"\n{format_table(('service', 'url', 'state', 'password'), services(cluster))}\n")
    _say(f"on {k3s}; this run changed {changed} things; {cluster.memory_mib()} MiB of memory in use on the node")
    on_node = f"build/venv/bin/python -m tests.node exec {node.name} --"
    _say(f"read a secret (base64):  {on_node} k3s kubectl -n {cluster.namespace} get secret minio-secret -o yaml")
    _say(f"look around:             {on_node} k3s kubectl get pods -A")
    _say("remove node and data:    make demo-down")


def _down(node: Node) -> None:
    _say(f"node {node.name} and its data removed" if node.down() else "no node was there")
    shutil.rmtree(Proof(node).folder, ignore_errors=True)
    _say("build/ and the cache keep what was built, for the next `make demo`")


def _say(text: str) -> None:
    print(f"      {text}", flush=True)


def main() -> int:
    verbs: dict[str, Callable[[], object]] = {
        "up": lambda: _up(Node.named("demo")),
        "bundle": lambda: _make_bundle(Steps(2)),
        "down": lambda: _down(Node.named("demo")),
    }
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        verbs[sys.argv[1]]()
    except (DemoError, NodeError) as exc:
        print(f"\ndemo: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped; run it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
