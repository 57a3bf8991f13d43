# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options that say how to reach an S3 server and as whom. The twin of module_utils/_args_minio.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  service:
    description:
      - The Kubernetes Service of the server, in O(namespace). It is reached through the Kubernetes API's port-forward,
        so that nothing has to listen outside the cluster.
      - Not used when O(address) is given.
    type: str
    default: minio
  port:
    description: The port of O(service).
    type: int
    default: 9000
  address:
    description:
      - C(host:port) of a server that is reached directly, such as one outside the cluster.
    type: str
  tls:
    description: Whether the server speaks TLS.
    type: bool
    default: false
  ca_path:
    description:
      - A file with the certificates that O(tls) trusts.
      - The ones of the node's system by default.
    type: path
  region:
    description: The region that requests are signed for, and that buckets are made in.
    type: str
    default: us-east-1
  secret:
    description:
      - The Kubernetes Secret, in O(namespace), that holds the credentials to work with. They are read from the cluster,
        so that they stand in no task, argument or log.
      - Exactly one of O(secret) and O(access_key) is needed.
    type: dict
    suboptions:
      name:
        description: The name of the Secret.
        type: str
        required: true
      access_key:
        description: The key under which the Secret has the access key.
        type: str
        default: access_key
      secret_key:
        description: The key under which the Secret has the secret key.
        type: str
        default: secret_key
  access_key:
    description: The access key to work with, where it is not in O(secret). Needs O(secret_key).
    type: str
  secret_key:
    description: The secret key of O(access_key).
    type: str
requirements:
  - minio >= 7.2.20 (Python package, on the node)
"""
