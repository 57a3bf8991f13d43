#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: mlflow_database_info
version_added: 1.0.0
author: The airgap.mlops maintainers (@airgap-mlops)
short_description: State of MLflow's database schema
description:
  - Says whether MLflow's database exists, and whether its schema is the one that a release of MLflow needs.
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
  - airgap.mlops._pg
  - airgap.mlops._mlflow
seealso:
  - module: airgap.mlops.mlflow_database
"""

EXAMPLES = r"""
- name: Ask before an upgrade
  airgap.mlops.mlflow_database_info:
    schema_revisions: "{{ manifest.mlflow.schema_revisions }}"
  register: found

- name: Say what the upgrade would do
  ansible.builtin.debug:
    msg: "From {{ found.revision }} to {{ found.head }}: {{ found.schema_state }}"
"""

RETURN = r"""
schema_state:
  description:
    - V(absent), there is no such database. V(empty), there is nothing in it. V(current), MLflow can start.
    - V(behind), an older MLflow wrote it. V(ahead), a newer one did. V(foreign), what is in it is not MLflow's.
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
reason:
  description: Why this release of MLflow must not use one that is V(ahead) or V(foreign), and the way out; else empty.
  type: str
  returned: always
  sample: ""
"""
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_mlflow import MLFLOW_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_pg import PG_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_schema import refusal, require_revisions
from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_store import MlflowStore
from ansible_collections.airgap.mlops.plugins.module_utils._pg_server import open_server

ARGUMENT_SPEC: dict[str, t.Any] = {**KUBE_ARGS, **PG_ARGS, **MLFLOW_ARGS}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    known = require_revisions(params["schema_revisions"])
    server = open_server(params)
    schema = MlflowStore(server, params["login_database"]).schema(params["database"], known)
    return {
        "schema_state": schema.state,
        "revision": schema.revision,
        "head": known[-1],
        "reason": refusal(schema, database=params["database"], server=server.shown),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
