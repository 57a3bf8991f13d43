#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: kube_secrets
version_added: 1.0.0
author: The airgap.mlops maintainers (@airgap-mlops)
short_description: Make, keep and rotate a whole list of Secrets
description:
  - Brings a list of Secrets of one namespace to what is asked for, in one call.
  - What is missing is generated in the cluster and stays in it. What is there is kept. A value is never returned, logged or shown in a diff.
  - Keys and Secrets that are not in the list are left alone.
options:
  secrets:
    description:
      - The Secrets.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      labels:
        description: Labels it must carry. Further labels are left alone.
        type: dict
        default: {}
      data:
        description:
          - Its keys. Further keys are left alone.
          - Without any the Secret must exist and is only read, for its entry in RV(checksums).
        type: list
        elements: dict
        default: []
        suboptions:
          key:
            description: Name of the key.
            type: str
            required: true
          value:
            description:
              - A given value. Mutually exclusive with O(secrets[].data[].template).
              - Without this and O(secrets[].data[].template) the value is generated once and kept.
            type: str
          template:
            description:
              - Text made of other keys of this list, written as V(${SECRET/KEY}), or V(${SECRET/KEY|url}) for its percent-encoded form. V($$) is a dollar sign.
              - Text without any such part is a constant that need not be hidden, such as a user name.
            type: str
          length:
            description: How many characters to generate, from 16 to 1024.
            type: int
            default: 32
          alphabet:
            description: Characters to generate from. V(urlsafe) is letters, digits, V(-) and V(_).
            type: str
            choices: [urlsafe, alphanumeric, hex]
            default: urlsafe
  rotate:
    description:
      - Generated keys to make anew in this run, each as V(SECRET/KEY). What is derived from them follows.
      - As long as it is set, each run makes new values.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows names, and V((generated\)), V((set\)), V((kept\)) or V((changed\)) in place of values.
  idempotent:
    support: partial
    details:
      - With O(rotate) every run makes new values.
"""

EXAMPLES = r"""
- name: Secrets of MLflow and its database
  airgap.mlops.kube_secrets:
    secrets:
      - name: postgresql-secret
        data:
          - key: password
      - name: mlflow-db-secret
        labels: {app.kubernetes.io/part-of: airgap-mlops}
        data:
          - key: password
          - key: database_uri
            template: postgresql+psycopg2://mlflow:${mlflow-db-secret/password|url}@postgresql:5432/mlflowdb

- name: A new password for MLflow's role, and the address with it
  airgap.mlops.kube_secrets:
    secrets: "{{ platform_secrets }}"
    rotate: [mlflow-db-secret/password]

- name: Only read the checksum, for the annotation of a pod
  airgap.mlops.kube_secrets:
    secrets:
      - name: mlflow-db-secret
  register: read
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, a line for each Secret.
  type: list
  elements: str
  returned: always
  sample:
    - "create secret postgresql-secret: password (generated)"
checksums:
  description:
    - A hash of each Secret's content by its name, for an annotation that replaces a pod when a Secret that it reads has changed.
    - It is keyed with the Secret's uid, so it neither reveals the content nor equals that of another cluster.
    - V(pending) for a Secret that does not exist yet, which is possible only in check mode.
  type: dict
  returned: always
  sample:
    postgresql-secret: 6b0c9f3c0a9c4c8e8f2a7d0f5e4b1a90
"""
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube import kube_client
from ansible_collections.airgap.mlops.plugins.module_utils._module import ReticentModule
from ansible_collections.airgap.mlops.plugins.module_utils._secrets import (
    ALPHABETS,
    KeySpec,
    SecretSpec,
    checksum,
    plan_secrets,
)
from ansible_collections.airgap.mlops.plugins.module_utils._secrets_store import SecretStore, generate

_KEY_ARGS: dict[str, t.Any] = {
    "key": {"type": "str", "required": True, "no_log": False},
    "value": {"type": "str", "no_log": True},
    "template": {"type": "str"},
    "length": {"type": "int", "default": 32},
    "alphabet": {"type": "str", "choices": list(ALPHABETS), "default": "urlsafe"},
}
_SECRET_ARGS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "labels": {"type": "dict", "default": {}},
    "data": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": _KEY_ARGS,
        "mutually_exclusive": [["value", "template"]],
    },
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "secrets": {"type": "list", "elements": "dict", "required": True, "options": _SECRET_ARGS, "no_log": False},
    "rotate": {"type": "list", "elements": "str", "default": []},
    **KUBE_ARGS,
}


def specs(items: t.Iterable[dict[str, t.Any]]) -> list[SecretSpec]:
    return [
        SecretSpec(
            name=item["name"],
            keys=tuple(KeySpec(**key) for key in item["data"]),
            labels={str(key): str(value) for key, value in item["labels"].items()},
        )
        for item in items
    ]


def run(module: AnsibleModule) -> dict[str, t.Any]:
    wanted = specs(module.params["secrets"])
    store = SecretStore(kube_client(module.params["kubeconfig"]), module.params["namespace"])
    plan = plan_secrets(
        wanted=wanted,
        stored=store.read(spec.name for spec in wanted),
        rotate=module.params["rotate"],
        generate=generate,
        check_mode=module.check_mode,
    )
    checksums = {}
    for change in plan.changes:
        uid, data = (change.stored.uid if change.stored else ""), change.all_data
        if change.changed and not module.check_mode:
            stored = store.apply(change)
            uid, data = stored.uid, dict(stored.data)
        checksums[change.name] = checksum(uid, data)
    result: dict[str, t.Any] = {"changed": plan.changed, "actions": plan.actions, "checksums": checksums}
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
