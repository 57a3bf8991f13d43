#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: mindsdb_models_info
short_description: Models that a MindsDB project has
version_added: 1.0.0
description:
  - Lists a project's models with their versions, and on request what the engine says of the active versions.
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
      - The models to tell of; one that does not exist is left out.
      - All by default.
    type: list
    elements: str
  project:
    description: The project of MindsDB that the models are in.
    type: str
    default: mindsdb
  describe:
    description:
      - What to ask the engine of each active version, by the word that follows the model's name in C(DESCRIBE).
      - Engine C(tabular) knows V(model), V(columns) and V(metrics).
    type: str
seealso:
  - module: airgap.mlops.mindsdb_models
"""

EXAMPLES = r"""
- name: Ask which version in MLflow a model's predictions come from
  airgap.mlops.mindsdb_models_info:
    names: [temperature]
    describe: model
  register: found

- name: Say it
  ansible.builtin.debug:
    msg: "{{ found.models[0].description[0].mlflow_model }}, version {{ found.models[0].description[0].mlflow_version }}"
"""

RETURN = r"""
models:
  description: The models, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the model.
      type: str
      sample: temperature
    state:
      description: Always V(present).
      type: str
      sample: present
    version:
      description: The active version.
      type: int
      sample: 2
    status:
      description: Its status, in MindsDB's words.
      type: str
      sample: complete
    target:
      description: The column that it predicts.
      type: str
      sample: temperature
    engine:
      description: Its ML engine.
      type: str
      sample: tabular
    datasource:
      description: The data source that it was trained from, as far as that is known.
      type: str
      sample: plant
    query:
      description: The query that it was trained from.
      type: str
      sample: SELECT load, temperature FROM sensor
    options:
      description: Its options.
      type: dict
      sample: {seed: 7}
    error:
      description: Why its training failed, else empty.
      type: str
      sample: ""
    training_seconds:
      description: How long it was trained.
      type: float
      sample: 12.0
    versions:
      description: All versions, oldest first.
      type: list
      elements: dict
      sample: [{version: 1, status: complete, active: false, error: ""}, {version: 2, status: complete, active: true, error: ""}]
    description:
      description: What the engine says of the active version, with O(describe); empty where it says nothing.
      type: list
      elements: dict
      sample: [{kind: trained, mlflow_model: temperature, mlflow_version: "2"}]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_mindsdb import MINDSDB_ARGS, MINDSDB_RULES
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import open_server
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_models import Version, summary
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_training import MindsdbModels

ARGUMENT_SPEC: dict[str, t.Any] = {
    "names": {"type": "list", "elements": "str"},
    "project": {"type": "str", "default": "mindsdb"},
    "describe": {"type": "str"},
    **KUBE_ARGS,
    **MINDSDB_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    with open_server(module.params) as server:
        project = MindsdbModels(server, module.params["project"], module.log)
        found = []
        for name, versions in sorted(project.read(module.params["names"]).items()):
            model = {**summary(name, versions), "versions": [_version(version) for version in versions]}
            if module.params["describe"]:
                model["description"] = project.describe(name, model["version"], module.params["describe"])
            found.append(model)
    return {"models": found}


def _version(version: Version) -> dict[str, t.Any]:
    return {
        "version": version.number,
        "status": version.status,
        "active": version.active,
        "error": version.error,
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, **MINDSDB_RULES)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
