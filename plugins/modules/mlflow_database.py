#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: mlflow_database
version_added: 1.0.0
author: The airgap.mlops maintainers (@airgap-mlops)
short_description: Role, database and privileges of MLflow
description:
  - Brings a PostgreSQL server to one role without special rights that owns one database, and nobody else in it.
  - Refuses a database that holds another program's tables, or that a newer MLflow wrote, before anything changes.
  - It does not write the schema. RV(schema_state) says whether a migration must run before MLflow may start.
options:
  role:
    description:
      - Role that MLflow logs in as. It owns O(database) and no other, and loses rights and memberships that it may have.
    type: str
    default: mlflow
  role_secret:
    description:
      - Secret of O(namespace) that holds the role's password. Not read when O(role_password) is given.
      - The server gets a verifier, computed here. It is set only when the one that is there is not that of this password.
    type: dict
    default:
      name: mlflow-db-secret
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
  role_password:
    description:
      - The role's password.
    type: str
  isolate:
    description:
      - Keep the role out of every other database. Since every role is let into a database by C(PUBLIC), this takes
        C(CONNECT) from C(PUBLIC) on all of them; owners and superusers keep it.
      - Set it to V(false) on a server that is shared with others.
    type: bool
    default: true
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
  - airgap.mlops._pg
  - airgap.mlops._mlflow
attributes:
  check_mode:
    support: full
    details:
      - A server in the cluster that is still to come counts as an empty one.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: airgap.mlops.mlflow_database_info
"""

EXAMPLES = r"""
- name: Database of MLflow on the platform's PostgreSQL
  airgap.mlops.mlflow_database:
    schema_revisions: "{{ manifest.mlflow.schema_revisions }}"
  register: database

- name: Database of MLflow on a server that is shared with others
  airgap.mlops.mlflow_database:
    address: db.example.org:5432
    tls: true
    login_user: dba
    login_password: "{{ vault_dba_password }}"
    isolate: false
    schema_revisions: "{{ manifest.mlflow.schema_revisions }}"
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in this order.
  type: list
  elements: str
  returned: always
  sample:
    - create role mlflow
    - create database mlflowdb of role mlflow
schema_state:
  description:
    - V(empty), there is nothing in it yet. V(behind), an older MLflow wrote it. V(current), MLflow can start.
    - For the first two a migration must run. V(ahead) and V(foreign) are errors.
  type: str
  returned: always
  sample: current
revision:
  description: Revision of the schema, if it has one.
  type: str
  returned: always
  sample: 90e64c465722
head:
  description: Revision that this release of MLflow needs.
  type: str
  returned: always
  sample: 90e64c465722
"""
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_mlflow import MLFLOW_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_pg import PG_ARGS, secret_key
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube import is_to_come
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_database import Actual, Wanted, plan_database
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_schema import require_ours, require_revisions
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_store import MlflowStore
from ansible_collections.airgap.mlops.plugins.module_utils._pg import make_verifier
from ansible_collections.airgap.mlops.plugins.module_utils._pg_server import open_server, read_password

ARGUMENT_SPEC: dict[str, t.Any] = {
    "role": {"type": "str", "default": "mlflow"},
    "role_secret": secret_key("mlflow-db-secret"),
    "role_password": {"type": "str", "no_log": True},
    "isolate": {"type": "bool", "default": True},
    **KUBE_ARGS,
    **PG_ARGS,
    **MLFLOW_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    known = require_revisions(params["schema_revisions"])
    wanted = Wanted(database=params["database"], role=params["role"], isolate=params["isolate"])
    try:
        password = read_password(params, "role")
        server = open_server(params)
        store = MlflowStore(server, params["login_database"])
        actual = store.read(wanted, known, password)
    except AirgapError as exc:
        if not (module.check_mode and is_to_come(exc)):
            raise
        plan, state, revision = plan_database(wanted=wanted, actual=Actual(), verifier=""), "absent", None
    else:
        require_ours(actual.schema, database=wanted.database, server=server.shown)
        plan = plan_database(wanted=wanted, actual=actual, verifier=make_verifier(password))
        state, revision = actual.schema.state, actual.schema.revision
        if not module.check_mode:
            store.run(plan.steps)
    result = {
        "changed": plan.changed,
        "actions": plan.actions,
        "schema_state": "empty" if state == "absent" else state,
        "revision": revision,
        "head": known[-1],
    }
    return {**result, "diff": plan.diff} if module._diff else result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
