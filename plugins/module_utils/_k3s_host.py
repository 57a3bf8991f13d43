# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""k3s on this node: files, unit, API and certificates, read only. The I/O twin of _k3s_state.py."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import re
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._files_store import file_sha256
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_state import (
    CORE_DNS,
    UNITS,
    NodeView,
    Started,
    Unit,
    parse_node,
    parse_started,
    parse_unit,
    start_patterns,
    started_path,
)
from ansible_collections.airgap.mlops.plugins.module_utils._versions import parse_version_output
from ansible_collections.airgap.mlops.plugins.module_utils._x509 import Certificate, parse_certificate

__all__ = ("K3sHost", "default_routes", "global_addresses", "telling_lines")

RunCommand = t.Callable[..., tuple[int, str, str]]

_PROPERTIES = "LoadState,UnitFileState,ActiveState,MainPID,InvocationID,NRestarts,NeedDaemonReload,ExecMainStartTimestampMonotonic"
_REQUEST_TIMEOUT = "10s"
# logrus, klog, and what systemd says about the unit.
_ERROR = re.compile(r"level=(error|fatal)|^[EF]\d{4} |Failed with result|Main process exited|panic:")
# Interfaces that belong to clusters and containers, and our own black hole.
_VIRTUAL = re.compile(r"^(lo|cni\d|flannel|kube-|veth|docker|podman|virbr|seal\d)")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def telling_lines(journal: str, errors: int = 12, last: int = 6) -> str:
    """The last errors of a journal, and its last lines whatever they are: what says most about a start that failed."""
    lines = journal.strip().splitlines()
    chosen = [number for number, line in enumerate(lines) if _ERROR.search(line)][-errors:]
    shown = sorted({*chosen, *range(max(0, len(lines) - last), len(lines))})
    return "\n".join(lines[number] for number in shown)


def default_routes(table: str) -> list[dict[str, t.Any]]:
    """IPv4 default routes in the text of /proc/net/route."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [
        {"device": row[0], "metric": int(row[6])} for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"
    ]


def global_addresses(listing: str) -> list[dict[str, str]]:
    """Addresses that a cluster may use, in the output of `ip -j addr`."""
    links = json.loads(listing or "[]")
    return [
        {"device": link["ifname"], "address": address["local"]}
        for link in links
        if not _VIRTUAL.match(link.get("ifname", "lo"))
        for address in link.get("addr_info", [])
        if address.get("scope") == "global" and address.get("family") == "inet"
    ]


class K3sHost:
    def __init__(self, run_command: RunCommand, k3s: str, data_dir: str, role: str | None = None) -> None:
        self._run_command = run_command
        self.k3s = k3s
        self.data_dir = data_dir
        self.role = role or self.installed_role()

    def installed_role(self) -> str | None:
        present = [role for role, unit in UNITS.items() if os.path.exists(f"/etc/systemd/system/{unit}.service")]
        return present[0] if present else None

    def _run(self, *argv: str) -> tuple[int, str, str]:
        try:
            return self._run_command(list(argv), environ_update={"LC_ALL": "C"}, handle_exceptions=False)
        except OSError as exc:
            return 127, "", f"{argv[0]}: {exc.strerror}"

    # The process and its files

    def installed_version(self) -> str | None:
        if not os.path.exists(self.k3s):
            return None
        return parse_version_output(self._run(self.k3s, "--version")[1])

    def unit(self) -> Unit:
        name = UNITS[self.role or "server"]
        return parse_unit(name, self._run("systemctl", "show", f"{name}.service", "-p", _PROPERTIES)[1])

    def started(self) -> Started:
        return parse_started(_read(started_path(UNITS[self.role or "server"])))

    def start_patterns(self) -> tuple[str, ...]:
        return start_patterns(UNITS[self.role or "server"], self.k3s, self.data_dir)

    def sums(self) -> dict[str, str]:
        """sha256 of each file that a start would read now."""
        found = (path for pattern in self.start_patterns() for path in glob.glob(pattern) if os.path.isfile(path))
        return {path: file_sha256(path) for path in found}

    def journal(self) -> str:
        name = UNITS[self.role or "server"]
        return telling_lines(self._run("journalctl", "-u", name, "-n", "400", "--no-pager", "-o", "cat")[1])

    # Identity

    def cluster_id(self) -> str | None:
        """sha256 of the cluster's CA, as tokens carry it. Public: /cacerts gives the CA to anyone."""
        match = re.match(r"K10([0-9a-f]{64})::", _read(f"{self.data_dir}/server/token"))
        if match:
            return match.group(1)
        ca = _read(f"{self.data_dir}/agent/server-ca.crt")
        return hashlib.sha256(ca.encode()).hexdigest() if ca else None

    def token(self) -> str:
        return _read(f"{self.data_dir}/server/token").strip()

    def node_name(self) -> str:
        """As its certificate says, for a configured name is not the host's; before there is one, as k3s would make it."""
        certificate = parse_certificate(_read(f"{self.data_dir}/agent/client-kubelet.crt"))
        if certificate:
            return certificate.common_name.removeprefix("system:node:")
        configured = re.search(r"^node-name: (\S+)$", _read("/etc/rancher/k3s/config.yaml"), re.MULTILINE)
        return configured.group(1) if configured else platform.node().lower()

    def certificates(self) -> list[tuple[str, Certificate]]:
        found = []
        for pattern in ("server/tls/*.crt", "server/tls/etcd/*.crt", "agent/*.crt"):
            for path in sorted(glob.glob(f"{self.data_dir}/{pattern}")):
                certificate = parse_certificate(_read(path))
                if certificate:
                    found.append((path, certificate))
        return found

    def volumes(self) -> list[str]:
        """Directories of the volumes that local-path made on this node, each pvc-UID_NAMESPACE_CLAIM."""
        return sorted(os.path.basename(path) for path in glob.glob(f"{self.data_dir}/storage/*"))

    # The API

    def _kubectl(self, *args: str) -> tuple[int, str, str]:
        config = "/etc/rancher/k3s/k3s.yaml" if self.role == "server" else f"{self.data_dir}/agent/kubelet.kubeconfig"
        return self._run(self.k3s, "kubectl", "--kubeconfig", config, "--request-timeout", _REQUEST_TIMEOUT, *args)

    def api_problem(self) -> str | None:
        """What is wrong with the API server, or None. A kubelet's identity may not read /readyz: agents ask for /version."""
        rc, stdout, stderr = self._kubectl("get", "--raw", "/readyz" if self.role == "server" else "/version")
        return (
            None
            if rc == 0
            else (stderr or stdout).strip().splitlines()[-1][:300]
            if (stderr or stdout).strip()
            else f"exit code {rc}"
        )

    def nodes(self) -> list[NodeView]:
        """All nodes; on an agent its own, for its kubelet may read no other."""
        if self.role == "server":
            rc, stdout, _stderr = self._kubectl("get", "nodes", "-o", "json")
            return [parse_node(node) for node in json.loads(stdout)["items"]] if rc == 0 else []
        rc, stdout, _stderr = self._kubectl("get", "node", self.node_name(), "-o", "json")
        return [parse_node(json.loads(stdout))] if rc == 0 else []

    def dns_problem(self) -> str | None:
        rc, stdout, stderr = self._kubectl("-n", "kube-system", "get", "deployment", CORE_DNS, "-o", "json")
        if rc != 0:
            return f"deployment {CORE_DNS} in kube-system cannot be read: {stderr.strip()[-200:]}"
        # Its condition Available says nothing: k3s lets the only replica be away, so none is enough for it.
        if json.loads(stdout).get("status", {}).get("availableReplicas"):
            return None
        pods = self._kubectl(
            "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={..state.waiting}"
        )[1]
        return (
            f"deployment {CORE_DNS} in kube-system has no pod that answers{': ' + pods[:300] if pods.strip() else ''}"
        )

    # The network

    def routes(self) -> list[dict[str, t.Any]]:
        return default_routes(_read("/proc/net/route"))

    def addresses(self) -> list[dict[str, str]]:
        rc, stdout, _stderr = self._run("ip", "-j", "-4", "addr", "show")
        return global_addresses(stdout) if rc == 0 else []
