# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options that say how to reach a MindsDB server and as whom. Twin of module_utils/_args_mindsdb.py: change both."""

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
    default: mindsdb
  port:
    description: The HTTP port of O(service).
    type: int
    default: 47334
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
  login_secret:
    description:
      - The Kubernetes Secret, in O(namespace), that holds the login. It is read from the cluster, so that it stands in no
        task, argument or log. Not read when O(login_user) is given.
    type: dict
    default:
      name: mindsdb-secret
      username: username
      password: password
    suboptions:
      name:
        description: The name of the Secret.
        type: str
        required: true
      username:
        description: The key under which the Secret has the user's name.
        type: str
        default: username
      password:
        description: The key under which the Secret has the password.
        type: str
        default: password
  login_user:
    description: The user to log in as, where it is not in O(login_secret). Needs O(login_password).
    type: str
  login_password:
    description: The password of O(login_user).
    type: str
"""
