# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Keys of k3s' config.yaml, and who may have them. Pure.

A server skips a key that it does not know, with a warning that nobody reads; an agent ends on it, and on every key that
only servers know. So both are looked at before anything is written.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("AGENT_KEYS", "SERVER_KEYS", "effective_config")

_COMMON = """
alsologtostderr bind-address config data-dir debug default-runtime disable-apiserver-lb disable-default-registry-endpoint enable-pprof
flannel-cni-conf flannel-conf flannel-iface image-credential-provider-bin-dir image-credential-provider-config image-service-endpoint
airgap-extra-registry container-runtime-endpoint docker kube-proxy-arg kubelet-arg lb-server-port log node-external-dns node-external-ip
node-internal-dns node-ip node-label node-name node-taint nonroot-devices pause-image prefer-bundled-bin private-registry
protect-kernel-defaults resolv-conf rootless selinux server snapshotter token token-file v vmodule vpn-auth vpn-auth-file with-node-id
"""

_SERVER_ONLY = """
advertise-address advertise-port agent-token agent-token-file cluster-cidr cluster-dns cluster-domain cluster-init cluster-reset
cluster-reset-restore-path datastore-cafile datastore-certfile datastore-endpoint datastore-keyfile default-local-storage-path disable
disable-agent disable-apiserver disable-cloud-controller disable-controller-manager disable-etcd disable-helm-controller
disable-kube-proxy disable-network-policy disable-scheduler egress-selector-mode embedded-registry enable-agent
etcd-arg etcd-disable-snapshots etcd-expose-metrics etcd-s3 etcd-s3-access-key etcd-s3-bucket etcd-s3-bucket-lookup-type
etcd-s3-config-secret etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-folder etcd-s3-insecure etcd-s3-proxy etcd-s3-region
etcd-s3-retention etcd-s3-secret-key etcd-s3-session-token etcd-s3-skip-ssl-verify etcd-s3-timeout etcd-snapshot-compress
etcd-snapshot-dir etcd-snapshot-name etcd-snapshot-reconcile-interval etcd-snapshot-retention etcd-snapshot-schedule-cron
flannel-backend flannel-external-ip flannel-ipv6-masq helm-controller-arg helm-job-image https-listen-port kine-tls
kube-apiserver-arg kube-cloud-controller-manager-arg kube-controller-manager-arg kube-scheduler-arg multi-cluster-cidr
secrets-encryption secrets-encryption-provider service-cidr service-node-port-range servicelb-namespace supervisor-metrics
system-default-registry tls-san tls-san-security write-kubeconfig write-kubeconfig-group write-kubeconfig-mode
datastore-max-idle-connections datastore-max-open-connections datastore-connection-max-lifetime
"""

AGENT_KEYS = frozenset(_COMMON.split())
SERVER_KEYS = AGENT_KEYS | frozenset(_SERVER_ONLY.split())


def effective_config(config: t.Mapping[str, t.Any], role: str, extra_keys: t.Collection[str] = ()) -> dict[str, t.Any]:
    """What of a site's configuration goes into this node's file: all of it on a server, what agents know on an agent."""
    if not isinstance(config, t.Mapping):
        raise AirgapError(f"a k3s configuration is a mapping of config.yaml keys, not a {type(config).__name__}")
    allowed = SERVER_KEYS | frozenset(extra_keys)
    unknown = [key for key in config if key.rstrip("+") not in allowed]
    if unknown:
        hints = [_hint(key, allowed) for key in unknown]
        raise AirgapError(
            f"k3s has no config.yaml key {'; no key '.join(hints)}. A server would ignore it and an agent would not start. "
            "Correct it, or name it in k3s_extra_keys if your release of k3s has it.",
        )
    mine = allowed if role == "server" else AGENT_KEYS | frozenset(extra_keys)
    return {key: value for key, value in config.items() if key.rstrip("+") in mine}


def _hint(key: str, allowed: t.Collection[str]) -> str:
    close = difflib.get_close_matches(key, allowed, n=1)
    return f"{key!r} (did you mean {close[0]!r}?)" if close else f"{key!r}"
