"""kubectl of the edge node itself, with its own kubeconfig: another road than the Python client's."""

from __future__ import annotations

import sys

from tests.node.node import Node

if __name__ == "__main__":
    done = Node.named("edge1").execute("k3s", "kubectl", *sys.argv[1:])
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    sys.exit(done.returncode)
