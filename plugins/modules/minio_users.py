#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: minio_users
short_description: Users of a MinIO server, with their secret keys and policies
version_added: 1.0.0
description:
  - Brings a whole list of users and of the policies that they get to the wanted state in one call.
  - A secret key can stay in a Kubernetes Secret. The module reads it there, so that it stands in no task, argument, log or diff.
  - A server shows nobody a secret key. So the module logs in as the user, and sets the key only when the server refuses it.
  - Users and policies that are not in the lists are left alone.
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
      - A server in the cluster that is still to come counts as an empty one, and a user whose Secret is still to come is named by that Secret.
  diff_mode:
    support: full
    details:
      - Secret keys are not shown, only whether the server takes the given one.
  idempotent:
    support: full
options:
  policies:
    description: The policies that this task speaks of. Policies that MinIO brings itself, such as V(readwrite), cannot be changed.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name by which users get the policy.
        type: str
        required: true
      document:
        description:
          - What the policy allows. Needed unless O(policies[].state=absent).
          - It is compared by meaning. Order, a string for a list of one, split statements and C(Sid) make no difference.
        type: dict
      state:
        description: Whether the policy shall be there. One that a user keeps is not removed.
        type: str
        choices: [present, absent]
        default: present
  users:
    description: The users that this task speaks of.
    type: list
    elements: dict
    default: []
    suboptions:
      secret:
        description: The Kubernetes Secret, in O(namespace), that holds the user's keys. Use this or O(users[].access_key).
        type: dict
        suboptions:
          name:
            description: The name of the Secret.
            type: str
            required: true
          access_key:
            description: The key under which the Secret has the access key.
            type: str
            default: access_key
          secret_key:
            description: The key under which the Secret has the secret key.
            type: str
            default: secret_key
      access_key:
        description: The user's access key, which is its name.
        type: str
      secret_key:
        description: The user's secret key. Needed with O(users[].access_key) unless O(users[].state=absent).
        type: str
      policies:
        description:
          - The names of all policies that the user shall have by itself; others are taken from it, and an empty list takes all.
          - Left as they are by default.
        type: list
        elements: str
      state:
        description: Whether the user shall be there. A user that was disabled is enabled again by V(present).
        type: str
        choices: [present, absent]
        default: present
seealso:
  - module: airgap.mlops.minio_buckets
"""

EXAMPLES = r"""
- name: A user for MLflow that reaches one bucket and nothing else
  airgap.mlops.minio_users:
    secret:
      name: minio-secret
      access_key: root_user
      secret_key: root_password
    policies:
      - name: mlflow
        document:
          Version: "2012-10-17"
          Statement:
            - Effect: Allow
              Action: ["s3:ListBucket", "s3:GetBucketLocation"]
              Resource: arn:aws:s3:::mlflow-artifacts
            - Effect: Allow
              Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
              Resource: arn:aws:s3:::mlflow-artifacts/*
    users:
      - secret:
          name: mlflow-s3-secret
        policies: [mlflow]
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in this order.
  returned: success
  type: list
  elements: str
  sample: [write policy mlflow, create user mlflow, "give user mlflow the policies: mlflow"]
"""

import functools
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS, secret_reference
from ansible_collections.airgap.mlops.plugins.module_utils._args_minio import MINIO_ARGS, MINIO_RULES
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube import is_to_come
from ansible_collections.airgap.mlops.plugins.module_utils._minio import (
    Credentials,
    ReadSecret,
    kube_reader,
    open_server,
    read_credentials,
)
from ansible_collections.airgap.mlops.plugins.module_utils._minio_users import (
    Policy,
    User,
    check_users,
    plan_users,
)
from ansible_collections.airgap.mlops.plugins.module_utils._module import ReticentModule

ARGUMENT_SPEC: dict[str, t.Any] = {
    "policies": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "document": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        "required_if": [("state", "present", ("document",))],
    },
    "users": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "secret": secret_reference("access_key", "secret_key"),
            "access_key": {"type": "str", "no_log": False},
            "secret_key": {"type": "str", "no_log": True},
            "policies": {"type": "list", "elements": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        "mutually_exclusive": [("secret", "access_key"), ("secret", "secret_key")],
        "required_one_of": [("secret", "access_key")],
        "required_if": [("state", "present", ("secret", "secret_key"), True)],
    },
    **KUBE_ARGS,
    **MINIO_ARGS,
}


def wanted_credentials(item: dict[str, t.Any], read: ReadSecret, check_mode: bool) -> Credentials:
    """A user's keys. Those of a Secret that is about to be made are as long as the ones that role platform makes."""
    try:
        return read_credentials(item, read)
    except AirgapError as exc:
        if not (check_mode and is_to_come(exc)):
            raise
        return Credentials(f"(in Secret {item['secret']['name']})", " " * 40, "a Secret to come")


def run(module: AnsibleModule) -> dict[str, t.Any]:
    read = kube_reader(module.params)
    policies = [Policy(**item) for item in module.params["policies"]]
    given = [(wanted_credentials(item, read, module.check_mode), item) for item in module.params["users"]]
    users = [
        User(credentials.access_key, None if item["policies"] is None else tuple(item["policies"]), item["state"])
        for credentials, item in given
    ]
    secrets = {credentials.access_key: credentials for credentials, item in given}
    # What comes out of a Secret has not passed the argument spec, which hides the values of no_log options.
    module.no_log_values.update(item.secret_key for item in secrets.values() if item.secret_key.strip())
    check = functools.partial(
        check_users,
        users=users,
        policies=policies,
        secret_lengths={access_key: len(item.secret_key) for access_key, item in secrets.items()},
    )
    try:
        server = open_server(module.params, read)
        check(admin=server.credentials.access_key)
        actual_users, actual_policies = server.read_users(users, secrets), server.read_policies()
    except AirgapError as exc:
        if not (module.check_mode and is_to_come(exc)):
            raise
        check(admin="")
        actual_users, actual_policies = {}, {}
    plan = plan_users(users=users, policies=policies, actual_users=actual_users, actual_policies=actual_policies)
    if not module.check_mode:
        for step in plan.steps:
            server.apply_user_step(step, secrets)
    result: dict[str, t.Any] = {"changed": plan.changed, "actions": plan.actions}
    return {**result, "diff": plan.diff} if module._diff else result


def main() -> None:
    module = ReticentModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, **MINIO_RULES)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
