#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: mindsdb_models
short_description: Models of a MindsDB server, trained when their definition changes
version_added: 1.0.0
description:
  - Brings a whole list of models to the wanted state in one call, and waits until they are trained.
  - A model is trained when it is missing, when its last training failed, and when its query, target, engine, options or data source
    is another than the one that its active version was trained from. MindsDB itself says what that was; only the data source's name
    is kept in the version's tag. Comments and blanks in a query make no difference.
  - Training again makes a new version, which becomes the active one when it is done. Older versions can still be asked. A training
    that fails leaves the active version as it is.
  - Models are trained one after another, since trainings share the server's memory. Those that are not in the list are left alone.
  - A module can show nothing before it ends. How a training goes on is in the system log of the node while it is waited for, and
    RV(waited) says at the end how long that was, and what state it ended in.
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
      - Whether data sources and engines are there is not looked at in check mode. A server in the cluster that is still to come
        counts as an empty one.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Not with O(models[].retrain=true).
options:
  models:
    description: The models that this task speaks of.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the model, in lower-case letters, digits and underscores.
        type: str
        required: true
      state:
        description: Whether the model shall be there. V(absent) removes all its versions.
        type: str
        choices: [present, absent]
        default: present
      target:
        description: The column to predict. Needed unless O(models[].state=absent).
        type: str
      datasource:
        description:
          - The data source, or project of MindsDB, that O(models[].query) is asked of.
          - Without it and a query the model is trained from nothing, such as one that serves a model of MLflow's registry.
        type: str
      query:
        description:
          - One SELECT, in the data source's own SQL, whose rows are the training data.
          - MindsDB reads it with its own lexer before the data source does. What the two would read differently is refused.
        type: str
      engine:
        description: The ML engine. One that is missing is made from the ML handler of the same name.
        type: str
        default: tabular
      options:
        description:
          - What stands after C(USING), for the engine. Names are in lower case; values are texts, numbers that are not negative,
            booleans, null, and lists and dictionaries of these.
          - They are shown in logs and diffs, and in MindsDB.
        type: dict
        default: {}
      retrain:
        description:
          - Whether to train again in every run, such as for new rows under the same query, or where an alias of MLflow's registry moved.
        type: bool
        default: false
  project:
    description: The project of MindsDB that the models are in. It must exist.
    type: str
    default: mindsdb
  wait:
    description:
      - Whether to wait for the end of each training. Without it a training that fails is found by the next run.
    type: bool
    default: true
  train_timeout:
    description: How many seconds to wait for one training. After that MindsDB goes on, and the next run waits for it again.
    type: int
    default: 1800
seealso:
  - module: airgap.mlops.mindsdb_models_info
  - module: airgap.mlops.mindsdb_datasources
"""

EXAMPLES = r"""
- name: A model that is trained from a table, and again when this definition changes
  airgap.mlops.mindsdb_models:
    models:
      - name: temperature
        datasource: plant
        query: SELECT load, coolant, site, temperature FROM sensor WHERE day < '2026-11-01'
        target: temperature
        options:
          seed: 7
          time_limit: 300

- name: A model that MLflow's registry has
  airgap.mlops.mindsdb_models:
    models:
      - name: income
        target: income
        options:
          model: models:/income@champion

- name: New rows every night
  airgap.mlops.mindsdb_models:
    models:
      - name: temperature
        datasource: plant
        query: SELECT load, coolant, site, temperature FROM sensor
        target: temperature
        retrain: true
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in this order.
  returned: always
  type: list
  elements: str
  sample: [create ML engine tabular, train model temperature, "retrain model income: changed query"]
models:
  description: The models as they are after the run, or in check mode before it.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The name of the model.
      type: str
      sample: temperature
    state:
      description: Whether it is there.
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
waited:
  description: The trainings that were waited for, in this order.
  returned: when not in check mode
  type: list
  elements: dict
  contains:
    name:
      description: The name of the model.
      type: str
      sample: temperature
    version:
      description: The version that was being trained.
      type: int
      sample: 2
    seconds:
      description: How long it was waited for.
      type: int
      sample: 14
    status:
      description: Its last state, in MindsDB's words. V(gone) when somebody removed it meanwhile.
      type: str
      sample: complete
errors:
  description: What failed, a text for each training.
  returned: when a training failed
  type: list
  elements: str
  sample: ["training of model temperature (version 2) failed: the query returned no rows"]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_mindsdb import MINDSDB_ARGS, MINDSDB_RULES
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import open_server
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_models import (
    Model,
    check_models,
    plan_models,
    summary,
)
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_training import MindsdbModels

ARGUMENT_SPEC: dict[str, t.Any] = {
    "models": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "target": {"type": "str"},
            "datasource": {"type": "str"},
            "query": {"type": "str"},
            "engine": {"type": "str", "default": "tabular"},
            "options": {"type": "dict", "default": {}},
            "retrain": {"type": "bool", "default": False},
        },
        "required_if": [("state", "present", ("target",))],
    },
    "project": {"type": "str", "default": "mindsdb"},
    "wait": {"type": "bool", "default": True},
    "train_timeout": {"type": "int", "default": 1800},
    **KUBE_ARGS,
    **MINDSDB_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    wanted = [Model(**{**item, "target": item["target"] or ""}) for item in params["models"]]
    check_models(wanted, project=params["project"])
    names = [model.name for model in wanted]
    outcome = None
    try:
        with open_server(params) as server:
            project = MindsdbModels(server, params["project"], module.log)
            actual = project.read(names)
            plan = plan_models(wanted=wanted, actual=actual, engines=project.engines())
            if not module.check_mode:
                project.require_sources(wanted, plan)
                outcome = project.apply(plan, wanted, wait=params["wait"], timeout=params["train_timeout"])
                actual = project.read(names)
    except AirgapError as exc:
        if not (module.check_mode and exc.details.get("status") == 404):  # neither Secret nor Service is there yet
            raise
        actual, plan = {}, plan_models(wanted=wanted, actual={}, engines=())
    actions = plan.actions if outcome is None else [str(step) for step in outcome.done]
    models = [summary(name, actual.get(name, ())) for name in names]
    result: dict[str, t.Any] = {"changed": bool(actions), "actions": actions, "models": models}
    if outcome:
        result["waited"] = [waited._asdict() for waited in outcome.waited]
    if outcome and outcome.failed:
        raise AirgapError("; ".join(outcome.failed), errors=list(outcome.failed), **result)
    return {**result, "diff": plan.diff} if module._diff else result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, **MINDSDB_RULES)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
