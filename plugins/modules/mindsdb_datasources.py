#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: mindsdb_datasources
short_description: Data sources of a MindsDB server
version_added: 1.0.0
description:
  - Brings a whole list of data sources to the wanted state in one call.
  - All of them are read, and every new or changed connection is tried by MindsDB, before the first one is changed.
  - A data source is what the task says. Parameters that it has and the task does not give are taken away. Data sources that are not
    in the list are left alone.
  - MindsDB keeps a data source's password in its own database and tells it to everybody who is logged in. So the module compares
    passwords as they are, without showing them, and a data source should have the password of a role that can do nothing but read.
author:
  - The airgap.mlops maintainers (@airgap-mlops)
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
  - airgap.mlops._mindsdb
attributes:
  check_mode:
    support: full
    details:
      - Connections are not tried in check mode. A server in the cluster that is still to come counts as an empty one.
  diff_mode:
    support: full
    details:
      - Of a secret it shows only whether MindsDB has the given one.
  idempotent:
    support: full
options:
  datasources:
    description: The data sources that this task speaks of.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the data source, in lower-case letters, digits and underscores.
        type: str
        required: true
      state:
        description:
          - Whether the data source shall be there. A model that was trained from it goes on without it.
        type: str
        choices: [present, absent]
        default: present
      engine:
        description:
          - What kind of server it is, in MindsDB's words, such as V(postgres). Needed unless O(datasources[].state=absent).
          - A data source with another engine is removed and made anew.
        type: str
      parameters:
        description: What the engine needs to connect, but for secrets. For V(postgres) these are C(host), C(port), C(user), C(database).
        type: dict
        default: {}
      secrets:
        description: The parameters that nobody may see.
        type: list
        elements: dict
        default: []
        suboptions:
          parameter:
            description: The name of the parameter.
            type: str
            default: password
          name:
            description: The Kubernetes Secret, in O(namespace), that holds the value. Use this or O(datasources[].secrets[].value).
            type: str
          key:
            description: The key under which the Secret has the value.
            type: str
            default: password
          value:
            description: The value itself.
            type: str
  try_connections:
    description: Whether MindsDB has to be able to connect before a data source is made or changed.
    type: bool
    default: true
seealso:
  - module: airgap.mlops.mindsdb_datasources_info
  - module: airgap.mlops.mindsdb_models
"""

EXAMPLES = r"""
- name: A table source for training, with the password from the cluster
  airgap.mlops.mindsdb_datasources:
    datasources:
      - name: plant
        engine: postgres
        parameters:
          host: postgresql
          port: 5432
          database: plant
          user: mindsdb_reader
        secrets:
          - name: mindsdb-reader-secret

- name: Take one away
  airgap.mlops.mindsdb_datasources:
    datasources:
      - name: trial
        state: absent
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in this order.
  returned: success
  type: list
  elements: str
  sample: [create data source plant, set password of data source archive]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_mindsdb import MINDSDB_ARGS, MINDSDB_RULES
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import open_server
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_connections import (
    MindsdbDatasources,
    read_datasources,
)
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_datasources import (
    check_datasources,
    plan_datasources,
)
from ansible_collections.airgap.mlops.plugins.module_utils._module import ReticentModule

ARGUMENT_SPEC: dict[str, t.Any] = {
    "datasources": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "engine": {"type": "str"},
            "parameters": {"type": "dict", "default": {}},
            "secrets": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "no_log": False,
                "options": {
                    "parameter": {"type": "str", "default": "password"},
                    "name": {"type": "str"},
                    "key": {"type": "str", "default": "password", "no_log": False},
                    "value": {"type": "str", "no_log": True},
                },
                "mutually_exclusive": [("name", "value")],
                "required_one_of": [("name", "value")],
            },
        },
        "required_if": [("state", "present", ("engine",))],
    },
    "try_connections": {"type": "bool", "default": True},
    **KUBE_ARGS,
    **MINDSDB_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    check_datasources(read_datasources(module.params, secrets=False))
    try:
        wanted = read_datasources(module.params, secrets=True)
        # What comes out of a Secret has not passed the argument spec, which hides the values of no_log options.
        module.no_log_values.update(value for source in wanted for value in source.secrets.values())
        with open_server(module.params) as server:
            sources = MindsdbDatasources(server)
            actual = sources.read()
            plan = plan_datasources(
                wanted=wanted, actual=actual, secret_parameters=sources.secret_parameters(wanted, actual)
            )
            if not module.check_mode:
                sources.apply(plan, wanted, actual, try_connections=module.params["try_connections"])
    except AirgapError as exc:
        if not (module.check_mode and exc.details.get("status") == 404):  # neither Secrets nor Service are there yet
            raise
        wanted = read_datasources(module.params, secrets=False)
        plan = plan_datasources(wanted=wanted, actual={}, secret_parameters={})
    result: dict[str, t.Any] = {"changed": plan.changed, "actions": plan.actions}
    return {**result, "diff": plan.diff} if module._diff else result


def main() -> None:
    module = ReticentModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, **MINDSDB_RULES)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
