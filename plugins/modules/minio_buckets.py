#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: minio_buckets
short_description: Buckets of a MinIO or other S3 server, with versioning, quota and policy
version_added: 1.0.0
description:
  - Brings a whole list of buckets to the wanted state in one call.
  - Every bucket is read before the first one is changed. A bucket that these credentials do not reach, a bucket that is not
    empty and must go, or an object lock that cannot be had any more stops the module with one message, and nothing changes.
  - Buckets that are not in the list, and properties that are not given, are left alone.
  - Quotas need a MinIO server and credentials that may use its admin API; all else works with any S3 server.
author:
  - The airgap.mlops maintainers (@airgap-mlops)
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
  - airgap.mlops._minio
attributes:
  check_mode:
    support: full
    details:
      - A server in the cluster that is still to come counts as an empty one.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  buckets:
    description: The buckets that this task speaks of.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the bucket.
        type: str
        required: true
      state:
        description: Whether the bucket shall be there.
        type: str
        choices: [present, absent]
        default: present
      force:
        description:
          - With O(buckets[].state=absent), whether to remove every object of the bucket first, with all versions. Without it a
            bucket that is not empty is refused.
        type: bool
        default: false
      versioning:
        description:
          - Whether the bucket keeps old versions of its objects.
          - Versioning that was never V(enabled) counts as V(suspended).
        type: str
        choices: [enabled, suspended]
      quota:
        description: How many bytes the bucket may hold. V(0) takes a quota away.
        type: int
      object_lock:
        description:
          - Whether objects of the bucket can be locked against removal. A server takes this only when the bucket is made, and
            switches versioning on with it.
        type: bool
      policy:
        description:
          - The bucket's policy document, for access by others than the server's own users.
          - It is compared by meaning. Order, a string for a list of one, split statements and C(Sid) make no difference.
          - An empty document takes the policy away.
        type: dict
seealso:
  - module: airgap.mlops.minio_users
"""

EXAMPLES = r"""
- name: Buckets of the platform's own MinIO, through the Kubernetes API
  airgap.mlops.minio_buckets:
    secret:
      name: minio-secret
      access_key: root_user
      secret_key: root_password
    buckets:
      - name: mlflow-artifacts
        versioning: enabled
        quota: 53687091200
      - name: scratch
        state: absent

- name: A bucket of an external server
  airgap.mlops.minio_buckets:
    address: s3.plant.example:9000
    tls: true
    access_key: "{{ s3_access_key }}"
    secret_key: "{{ s3_secret_key }}"
    buckets:
      - name: plant-reports
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in this order.
  returned: success
  type: list
  elements: str
  sample: [create bucket mlflow-artifacts, set versioning of bucket mlflow-artifacts to enabled]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_minio import MINIO_ARGS, MINIO_RULES
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube import is_to_come
from ansible_collections.airgap.mlops.plugins.module_utils._minio import kube_reader, open_server
from ansible_collections.airgap.mlops.plugins.module_utils._minio_buckets import (
    Bucket,
    BucketState,
    check_buckets,
    plan_buckets,
)

ARGUMENT_SPEC: dict[str, t.Any] = {
    "buckets": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "force": {"type": "bool", "default": False},
            "versioning": {"type": "str", "choices": ["enabled", "suspended"]},
            "quota": {"type": "int"},
            "object_lock": {"type": "bool"},
            "policy": {"type": "dict"},
        },
    },
    **KUBE_ARGS,
    **MINIO_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    wanted = [Bucket(**item) for item in module.params["buckets"]]
    check_buckets(wanted)
    try:
        server = open_server(module.params, kube_reader(module.params))
        actual = server.read_buckets(wanted)
    except AirgapError as exc:
        if not (module.check_mode and is_to_come(exc)):
            raise
        actual = {bucket.name: BucketState(bucket.name, exists=False) for bucket in wanted}
    plan = plan_buckets(wanted=wanted, actual=actual)
    if not module.check_mode:
        for step in plan.steps:
            server.apply_bucket_step(step)
    result: dict[str, t.Any] = {"changed": plan.changed, "actions": plan.actions}
    return {**result, "diff": plan.diff} if module._diff else result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, **MINIO_RULES)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
