# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options that say how to reach a PostgreSQL server and as whom. Twin of module_utils/_args_pg.py: change both."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  service:
    description:
      - Service of the cluster that the server is behind. It is reached through the API server's port-forward.
    type: str
    default: postgresql
  port:
    description:
      - Port of O(service).
    type: int
    default: 5432
  address:
    description:
      - A server outside the cluster, as V(HOST:PORT). Then O(service) and O(port) are not used.
    type: str
  tls:
    description:
      - Speak TLS, and check the server's certificate.
    type: bool
    default: false
  ca_path:
    description:
      - File with the PEM certificates to trust. Without it those of the system are.
    type: path
  login_user:
    description:
      - Role to log in as. It needs the right to make roles and databases.
    type: str
    default: postgres
  login_database:
    description:
      - Database to log in to.
    type: str
    default: postgres
  login_secret:
    description:
      - Secret of O(namespace) that holds the password of O(login_user). Not read when O(login_password) is given.
    type: dict
    default:
      name: postgresql-secret
      key: password
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      key:
        description: Key in it.
        type: str
        default: password
  login_password:
    description:
      - Password of O(login_user), for a server outside the cluster.
    type: str
requirements:
  - pg8000 >= 1.31.0
"""
