#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: mindsdb_datasources_info
short_description: Data sources that a MindsDB server has
version_added: 1.0.0
description:
  - Lists a MindsDB server's data sources, without their secrets, and on request whether MindsDB can connect to them.
author:
  - The airgap.mlops maintainers (@airgap-mlops)
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
  - airgap.mlops._mindsdb
options:
  names:
    description:
      - The data sources to tell of; one that does not exist is left out.
      - All by default.
    type: list
    elements: str
  try_connections:
    description: Whether MindsDB shall try to connect to each of them.
    type: bool
    default: false
seealso:
  - module: airgap.mlops.mindsdb_datasources
"""

EXAMPLES = r"""
- name: Ask whether training data can be reached
  airgap.mlops.mindsdb_datasources_info:
    names: [plant]
    try_connections: true
  register: found
  failed_when: found is failed or found.datasources | rejectattr('connects') | length > 0
"""

RETURN = r"""
datasources:
  description: The data sources, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the data source.
      type: str
      sample: plant
    engine:
      description: What kind of server it is.
      type: str
      sample: postgres
    parameters:
      description: How to connect. Secrets read V(hidden).
      type: dict
      sample: {host: postgresql, port: 5432, database: plant, user: mindsdb_reader, password: hidden}
    connects:
      description: Whether MindsDB can connect, with O(try_connections=true).
      type: bool
      sample: true
    error:
      description: Why it cannot, else empty.
      type: str
      sample: ""
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_mindsdb import MINDSDB_ARGS, MINDSDB_RULES
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import open_server
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_connections import MindsdbDatasources

ARGUMENT_SPEC: dict[str, t.Any] = {
    "names": {"type": "list", "elements": "str"},
    "try_connections": {"type": "bool", "default": False},
    **KUBE_ARGS,
    **MINDSDB_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    names = module.params["names"]
    with open_server(module.params) as server:
        sources = MindsdbDatasources(server)
        found = [state for _name, state in sorted(sources.read().items()) if state.kind == "data"]
        wanted = [state for state in found if names is None or state.name in names]
        # An error of a connection may repeat what it was tried with.
        secrets = sources.secrets(wanted)
        module.no_log_values.update(secrets)
        return {"datasources": [sources.describe(s, connect=module.params["try_connections"]) for s in wanted]}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, **MINDSDB_RULES)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
