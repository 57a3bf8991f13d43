#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: platform_info
version_added: 1.0.0
author: The airgap.mlops maintainers (@airgap-mlops)
short_description: Whether the platform's services do their work
description:
  - Uses each given service the way its clients do, and says what came of it. A service that is not given is not asked.
  - MLflow searches experiments, lists artifacts and answers on every node's port. MLflow's own credentials are used on
    PostgreSQL, to read the schema revision, and on MinIO, to write, read and remove an object. Redis answers a PING and keeps a value.
  - What is written is removed again, with its versions. In check mode nothing is written at all.
  - A service that does not work is no failure of this module. See RV(healthy) and RV(problems).
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
options:
  postgresql:
    description: PostgreSQL, asked as the role that MLflow is there.
    type: dict
    suboptions:
      service:
        description: Name of its Service.
        type: str
        default: postgresql
      port:
        description: Port of the Service.
        type: int
        default: 5432
      database:
        description: Name of MLflow's database.
        type: str
        default: mlflowdb
      user:
        description: MLflow's role.
        type: str
        default: mlflow
      schema_revisions:
        description:
          - The schema revisions that the site's MLflow knows, oldest first. The schema must be at the last of them.
          - Without any it is only read.
        type: list
        elements: str
        default: []
      secret:
        description: The Secret that holds the role's password.
        type: dict
        required: true
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          password:
            description: Key in it.
            type: str
            default: password
  minio:
    description: MinIO, asked as MLflow's user.
    type: dict
    suboptions:
      service:
        description: Name of its Service.
        type: str
        default: minio
      port:
        description: Port of the Service.
        type: int
        default: 9000
      bucket:
        description: MLflow's bucket.
        type: str
        default: mlflow-artifacts
      secret:
        description: The Secret that holds the user's keys.
        type: dict
        required: true
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          access_key:
            description: Key of the access key in it.
            type: str
            default: access_key
          secret_key:
            description: Key of the secret key in it.
            type: str
            default: secret_key
  mlflow:
    description: MLflow's server.
    type: dict
    suboptions:
      service:
        description: Name of its Service.
        type: str
        default: mlflow
      port:
        description: Port of the Service.
        type: int
        default: 5000
      node_port:
        description: A port on which every node must answer clients outside the cluster. Not tried without it.
        type: int
      artifacts:
        description: Whether the server hands out artifacts, so that it must be able to list them.
        type: bool
        default: true
  mindsdb:
    description: MindsDB.
    type: dict
    suboptions:
      service:
        description: Name of its Service.
        type: str
        default: mindsdb
      port:
        description: HTTP port of the Service.
        type: int
        default: 47334
      node_port:
        description: A port on which every node must answer clients outside the cluster. Not tried without it.
        type: int
      secret:
        description: The Secret that holds what to log in with.
        type: dict
        required: true
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          username:
            description: Key of the user in it.
            type: str
            default: username
          password:
            description: Key of the password in it.
            type: str
            default: password
  gateway:
    description: The gateway.
    type: dict
    suboptions:
      service:
        description: Name of its Service.
        type: str
        default: gateway
      port:
        description: Port of the Service.
        type: int
        default: 8000
      node_port:
        description: A port on which every node must answer clients outside the cluster. Not tried without it.
        type: int
      secret:
        description: The Secret that holds a client's key.
        type: dict
        required: true
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          key:
            description: Key in it, which is the client's name.
            type: str
            default: default
  redis:
    description: Redis.
    type: dict
    suboptions:
      service:
        description: Name of its Service.
        type: str
        default: redis
      port:
        description: Port of the Service.
        type: int
        default: 6379
      secret:
        description: The Secret that holds its password.
        type: dict
        required: true
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          password:
            description: Key in it.
            type: str
            default: password
  wait_timeout:
    description: For how many seconds to try again what did not work, as after a start of the platform.
    type: int
    default: 0
requirements:
  - minio >= 7.2.20
  - pg8000 >= 1.31.0
  - redis >= 6.4.0
seealso:
  - module: airgap.mlops.mlflow_database_info
"""

EXAMPLES = r"""
- name: Use the platform
  airgap.mlops.platform_info:
    postgresql:
      secret: {name: mlflow-db-secret}
    minio:
      secret: {name: mlflow-s3-secret}
    mlflow:
      node_port: 30001
    redis:
      secret: {name: redis-secret}
    mindsdb:
      node_port: 30002
      secret: {name: mindsdb-secret}
    gateway:
      node_port: 30003
      secret: {name: gateway-keys}
  register: platform

- name: Stop when something does not work
  ansible.builtin.assert:
    that: platform.healthy
    fail_msg: "{{ platform.problems | join('\n') }}"
"""

RETURN = r"""
healthy:
  description: Whether every probe succeeded.
  type: bool
  returned: success
problems:
  description: A line for each service that failed one, with its address, what happened and what to look at.
  type: list
  elements: str
  returned: success
checks:
  description: Every probe in the order in which they were run.
  type: list
  elements: dict
  returned: success
  contains:
    component:
      description: The service, by the name of its Deployment.
      type: str
      sample: redis
    address:
      description: Where it was asked.
      type: str
      sample: Service mlops/redis:6379
    work:
      description: What it was asked to do.
      type: str
      sample: answer a PING
    healthy:
      description: Whether it did.
      type: bool
    detail:
      description: What it answered, or what went wrong.
      type: str
      sample: PONG
    seconds:
      description: How long it took.
      type: float
      sample: 0.021
"""
import dataclasses
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS, secret_reference
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._probes import report, run_probes
from ansible_collections.airgap.mlops.plugins.module_utils._probes_cluster import Cluster
from ansible_collections.airgap.mlops.plugins.module_utils._probes_gateway import gateway_probes
from ansible_collections.airgap.mlops.plugins.module_utils._probes_mindsdb import mindsdb_probes
from ansible_collections.airgap.mlops.plugins.module_utils._probes_platform import (
    minio_probes,
    mlflow_probes,
    postgresql_probes,
    redis_probes,
)


def _service(name: str, port: int, **options: t.Any) -> dict[str, t.Any]:
    return {
        "type": "dict",
        "options": {
            "service": {"type": "str", "default": name},
            "port": {"type": "int", "default": port},
            **options,
        },
    }


ARGUMENT_SPEC: dict[str, t.Any] = {
    "postgresql": _service(
        "postgresql",
        5432,
        database={"type": "str", "default": "mlflowdb"},
        user={"type": "str", "default": "mlflow"},
        schema_revisions={"type": "list", "elements": "str", "default": []},
        secret={**secret_reference("password"), "required": True},
    ),
    "minio": _service(
        "minio",
        9000,
        bucket={"type": "str", "default": "mlflow-artifacts"},
        secret={**secret_reference("access_key", "secret_key"), "required": True},
    ),
    "mlflow": _service("mlflow", 5000, node_port={"type": "int"}, artifacts={"type": "bool", "default": True}),
    "mindsdb": _service(
        "mindsdb",
        47334,
        node_port={"type": "int"},
        secret={**secret_reference("username", "password"), "required": True},
    ),
    "gateway": _service(
        "gateway",
        8000,
        node_port={"type": "int"},
        secret={
            "type": "dict",
            "required": True,
            "no_log": False,
            "options": {
                "name": {"type": "str", "required": True},
                "key": {"type": "str", "default": "default", "no_log": False},
            },
        },
    ),
    "redis": _service("redis", 6379, secret={**secret_reference("password"), "required": True}),
    "wait_timeout": {"type": "int", "default": 0},
    **KUBE_ARGS,
}

# In the order in which one needs the other, so that the first failure is the cause.
PROBES: dict[str, t.Callable[..., t.Any]] = {
    "postgresql": postgresql_probes,
    "minio": minio_probes,
    "redis": redis_probes,
    "mlflow": mlflow_probes,
    "mindsdb": mindsdb_probes,
    "gateway": gateway_probes,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    cluster = Cluster(module.params)
    probes = [
        probe
        for component, make in PROBES.items()
        if module.params[component]
        for probe in make(cluster, module.params[component], module.check_mode)
    ]
    checks = run_probes(probes, wait=module.params["wait_timeout"])
    return {
        "healthy": all(check.healthy for check in checks),
        "problems": report(checks, cluster.namespace),
        "checks": [dataclasses.asdict(check) for check in checks],
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
