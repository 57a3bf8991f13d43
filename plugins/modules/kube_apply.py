#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: kube_apply
version_added: 1.0.0
author: The airgap.mlops maintainers (@airgap-mlops)
short_description: Apply a whole list of objects, and wait until what they start has come up
description:
  - Brings a list of Kubernetes objects to what is asked for, by server-side apply, in one call.
  - All of them are tried in a dry run of the API server before the first one is written, so what the server refuses changes nothing.
    Only what differs is written.
  - Pods of Deployments, StatefulSets and DaemonSets are replaced when a Secret or ConfigMap that they read has changed. For this their template gets
    an annotation C(checksum/NAME) for each that is named in C(env), C(envFrom) or C(volumes) and is not optional. It does not reveal what a Secret holds.
  - Fields that an earlier call set and this one leaves out are removed. Those of others are left alone.
  - Warnings of the API server, such as of a pod that a Pod Security level forbids, become warnings of the task.
options:
  definition:
    description:
      - The objects, in the order in which they are to be made. Empty documents are left out.
      - Secrets are refused, since their values would show in diffs. See M(airgap.mlops.kube_secrets).
    type: list
    elements: raw
    required: true
  wait:
    description:
      - Wait until each Deployment, StatefulSet and DaemonSet of the list has all its pods in their present form, and ready.
      - Where that fails, the message names the pod, what it lacks, and the last lines of its log.
    type: bool
    default: true
  wait_timeout:
    description:
      - How long to wait, in seconds. Pods that can never start are not waited for.
    type: int
    default: 300
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
attributes:
  check_mode:
    support: full
    details:
      - Objects of a namespace that is still to come are taken as they stand, since the API server tries nothing in it.
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Apply what a template makes, and wait until it answers
  airgap.mlops.kube_apply:
    namespace: mlops
    definition: "{{ lookup('ansible.builtin.template', 'redis.yml.j2') | from_yaml_all | list }}"
    wait_timeout: 300

- name: Objects that start nothing
  airgap.mlops.kube_apply:
    definition:
      - apiVersion: v1
        kind: ConfigMap
        metadata: {name: site}
        data: {name: quarry}
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, a line for each object.
  type: list
  elements: str
  returned: always
  sample:
    - "create Service redis"
    - "change Deployment redis: spec.template"
"""
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube import kube_client
from ansible_collections.airgap.mlops.plugins.module_utils._kube_apply import ObjectStore, Waiter
from ansible_collections.airgap.mlops.plugins.module_utils._kube_objects import check_documents, plan_objects
from ansible_collections.airgap.mlops.plugins.module_utils._module import ReticentModule

ARGUMENT_SPEC: dict[str, t.Any] = {
    "definition": {"type": "list", "elements": "raw", "required": True},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
    **KUBE_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    documents = check_documents(module.params["definition"], module.params["namespace"])
    client = kube_client(module.params["kubeconfig"])
    store = ObjectStore(client, module.check_mode)
    documents = store.with_inputs(documents)
    plan = plan_objects(store.look(documents))
    if not module.check_mode:
        for step in plan.steps:
            store.apply(step.document)
        if module.params["wait"]:
            Waiter(store, module.params["wait_timeout"]).wait(d for d in documents if d.is_workload)
    for text in client.warnings:
        module.warn(f"The API server warns: {text}")
    result: dict[str, t.Any] = {"changed": plan.changed, "actions": plan.actions}
    return {**result, "diff": plan.diff} if module._diff else result


def main() -> None:
    module = ReticentModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
