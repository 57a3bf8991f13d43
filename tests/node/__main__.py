"""Edge nodes for the demo and the tests: systemd containers on a network without a way out.

python -m tests.node up demo            make and start a node (its address: see list, or --address)
python -m tests.node list               nodes on this machine
python -m tests.node exec demo -- CMD   run a command on it over SSH
python -m tests.node egress demo        JSON: packets and look-ups that tried to leave since it was made
python -m tests.node prove-seal demo    try to get out, fail, and be seen
python -m tests.node restart demo       orderly reboot; data stays
python -m tests.node kill demo          power cut; `up` switches it on again
python -m tests.node down demo          remove it with its data
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable

from tests.node.node import ADDRESSES, Node, list_nodes
from tests.node.podman import NodeError
from tests.node.seal import prove_seal


def _up(node: Node, _args: argparse.Namespace) -> int:
    started = time.monotonic()
    changed = node.up()
    print(
        f"node {node.name} {'is up' if changed else 'was up already'} at {node.address} ({time.monotonic() - started:.1f} s)"
    )
    return 0


def _down(node: Node, _args: argparse.Namespace) -> int:
    print(f"node {node.name} {'removed' if node.down() else 'was not there'}")
    return 0


def _restart(node: Node, _args: argparse.Namespace) -> int:
    node.restart()
    print(f"node {node.name} restarted")
    return 0


def _kill(node: Node, _args: argparse.Namespace) -> int:
    node.kill()
    print(f"node {node.name} is off")
    return 0


def _exec(node: Node, args: argparse.Namespace) -> int:
    done = node.execute(*args.command)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


def _egress(node: Node, _args: argparse.Namespace) -> int:
    print(json.dumps(node.egress().as_dict(), indent=2))
    return 0


def _prove_seal(node: Node, _args: argparse.Namespace) -> int:
    for sentence in prove_seal(node):
        print(sentence)
    return 0


VERBS: dict[str, tuple[str, Callable[[Node, argparse.Namespace], int]]] = {
    "up": ("make and start a node", _up),
    "down": ("remove a node and its data", _down),
    "restart": ("reboot a node in order; data stays", _restart),
    "kill": ("cut a node's power; `up` switches it on again", _kill),
    "exec": ("run a command on a node over SSH", _exec),
    "egress": ("what tried to leave a node since it was made, as JSON", _egress),
    "prove-seal": ("show that nothing gets out, and that attempts are counted", _prove_seal),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.node", description="Edge nodes for the demo and the tests.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="nodes on this machine, as JSON")
    for verb, (text, _function) in VERBS.items():
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("name", help=f"name of the node ({', '.join(ADDRESSES)} have addresses already)")
        sub.add_argument("--address", help="its address in the edge network")
        if verb == "exec":
            sub.usage = "%(prog)s [-h] [--address ADDRESS] name -- COMMAND..."
    return parser


def main() -> int:
    # argparse would drop every --, and those after the first belong to the command
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, command = sys.argv[1:split], sys.argv[split + 1 :]
    args = _parser().parse_args(own, argparse.Namespace(command=command))
    try:
        if args.verb == "list":
            print(json.dumps(list_nodes(), indent=2))
            return 0
        return VERBS[args.verb][1](Node.named(args.name, args.address), args)
    except NodeError as exc:
        print(f"node: {exc}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
