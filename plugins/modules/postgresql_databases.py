#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_databases
short_description: Bring databases, roles and grants of a PostgreSQL server to a list
version_added: 1.0.0
description:
  - Takes the whole list of what belongs together in one call, and brings the server to exactly that. Each role can log in, and may do what
    is listed and nothing else. Rights, memberships and attributes of these roles beyond the list are taken away.
  - Nobody but its owner and who a grant lets in can connect to a database of the list. PUBLIC has no rights on its tables.
  - Roles and databases beside the list are left alone, but for O(isolate). Nothing is ever dropped.
  - A role that owns a database of the list makes its tables itself, by the statements of O(databases[].schema).
author:
  - The airgap.mlops maintainers (@airgap-mlops)
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
  - airgap.mlops._pg
attributes:
  check_mode:
    support: full
    details:
      - Statements of O(databases[].schema) are tried in a transaction that is then undone.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  roles:
    description: Roles that can log in, owners of databases included.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the role.
        type: str
        required: true
      secret:
        description: Secret of O(namespace) that holds its password. Not read when O(roles[].password) is given.
        type: dict
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          key:
            description: Key in it.
            type: str
            default: password
      password:
        description: Its password, for a server outside the cluster.
        type: str
  databases:
    description: Databases of these roles.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      owner:
        description: The role that it belongs to, one of O(roles).
        type: str
        required: true
      schema:
        description:
          - SQL statements that make what is to be in the database, run as its owner in one transaction each time.
          - They must do nothing where their work is done, as C(CREATE TABLE IF NOT EXISTS) does. One that writes, if only the same again as
            C(CREATE OR REPLACE) does, counts as a change.
        type: list
        elements: str
        default: []
  grants:
    description:
      - What roles may do in databases that they do not own. Such a database need not be one of O(databases).
      - What a role may do is all that its grants say, and nothing that they do not.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: The role, one of O(roles).
        type: str
        required: true
      database:
        description: The database. The role may connect to it.
        type: str
        required: true
      schema:
        description: The schema that the tables are in.
        type: str
        default: public
      tables:
        description:
          - Tables and views. They must be there, or be made by O(databases[].schema).
          - V(*) stands for all of the schema, those included that the database's owner makes later.
        type: list
        elements: str
        required: true
      privileges:
        description: What the role may do with them.
        type: list
        elements: str
        choices: [SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER]
        required: true
  isolate:
    description:
      - Take from PUBLIC the right to connect to any other database of the server, so that the roles of the list cannot either.
      - Set it to false where the server is shared with others that count on that right.
    type: bool
    default: true
seealso:
  - module: airgap.mlops.mlflow_database
  - module: airgap.mlops.kube_secrets
"""

EXAMPLES = r"""
- name: A database, a role that fills it, and one that only reads
  airgap.mlops.postgresql_databases:
    roles:
      - name: audit
        secret: {name: audit-db-secret, key: audit_password}
      - name: gateway
        secret: {name: audit-db-secret, key: gateway_password}
      - name: reader
        secret: {name: reader-secret}
    databases:
      - name: auditdb
        owner: audit
        schema:
          - CREATE TABLE IF NOT EXISTS outcomes (decision_id uuid PRIMARY KEY, outcome text NOT NULL)
    grants:
      - role: gateway
        database: auditdb
        tables: [outcomes]
        privileges: [INSERT]
      - role: reader
        database: plantdb
        tables: ["*"]
        privileges: [SELECT]

- name: The same on a server outside the cluster
  airgap.mlops.postgresql_databases:
    address: db.example.org:5432
    tls: true
    login_password: "{{ superuser_password }}"
    roles:
      - name: audit
        password: "{{ audit_password }}"
    databases:
      - name: auditdb
        owner: audit
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, in order.
  type: list
  elements: str
  returned: success
  sample:
    - create role audit
    - create database auditdb of role audit
"""
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._args_pg import PG_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._module import ReticentModule
from ansible_collections.airgap.mlops.plugins.module_utils._pg import PgError, make_verifier
from ansible_collections.airgap.mlops.plugins.module_utils._pg_databases import (
    Actual,
    Wanted,
    WantedDatabase,
    check_wanted,
    plan_server,
)
from ansible_collections.airgap.mlops.plugins.module_utils._pg_grants import PRIVILEGES, Grant
from ansible_collections.airgap.mlops.plugins.module_utils._pg_plan import Step
from ansible_collections.airgap.mlops.plugins.module_utils._pg_server import open_server, read_key
from ansible_collections.airgap.mlops.plugins.module_utils._pg_store import Inside, PgStore, to_come

_SECRET = {
    "name": {"type": "str", "required": True},
    "key": {"type": "str", "default": "password", "no_log": False},
}
_ROLE = {
    "name": {"type": "str", "required": True},
    "secret": {"type": "dict", "no_log": False, "options": _SECRET},
    "password": {"type": "str", "no_log": True},
}
_DATABASE = {
    "name": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "schema": {"type": "list", "elements": "str", "default": []},
}
_GRANT = {
    "role": {"type": "str", "required": True},
    "database": {"type": "str", "required": True},
    "schema": {"type": "str", "default": "public"},
    "tables": {"type": "list", "elements": "str", "required": True},
    "privileges": {"type": "list", "elements": "str", "required": True, "choices": list(PRIVILEGES)},
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    "roles": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": _ROLE,
        "required_one_of": [("secret", "password")],
    },
    "databases": {"type": "list", "elements": "dict", "default": [], "options": _DATABASE},
    "grants": {"type": "list", "elements": "dict", "default": [], "options": _GRANT},
    "isolate": {"type": "bool", "default": True},
    **KUBE_ARGS,
    **PG_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params, check = module.params, module.check_mode
    wanted = _wanted(params)
    check_wanted(wanted)
    passwords: dict[str, str] = {}
    store: PgStore | None = None
    actual = Actual()
    try:
        passwords = {role["name"]: _password(params, role) for role in params["roles"]}
        store = PgStore(open_server(params), params["login_database"])
        actual = store.read(wanted, passwords)
        store.refuse_missing_tables(wanted, actual)
    except AirgapError as exc:
        # In check mode neither the Secrets nor the Service need be there yet.
        if not (check and exc.details.get("status") == 404):
            raise
        store = None
    verifiers = {name: make_verifier(password) for name, password in passwords.items()}
    plan = plan_server(wanted=wanted, actual=actual, verifiers={name: verifiers.get(name, "") for name in wanted.roles})
    if store and not check:
        store.run(plan.steps)
    present = wanted.within(actual.databases)
    first = plan_server(wanted=present, actual=actual, verifiers=verifiers).steps if store and check else ()
    inside = {place: _inside(store, wanted, actual, place, first, check=check) for place in wanted.places}
    actions = [*plan.actions, *(action for part in inside.values() for action in part.actions)]
    result: dict[str, t.Any] = {"changed": bool(actions), "actions": actions}
    if not module._diff:
        return result
    diff = {side: {**view, "inside": {}} for side, view in plan.diff.items()}
    for place, part in inside.items():
        diff["before"]["inside"][place] = list(part.before)
        diff["after"]["inside"][place] = list(part.after)
    return {**result, "diff": diff}


def _inside(
    store: PgStore | None, wanted: Wanted, actual: Actual, place: str, first: t.Iterable[Step], *, check: bool
) -> Inside:
    if store and place in actual.databases:
        return store.rehearse(wanted, place, first) if check else store.converge(wanted, place)
    # Planned from nothing in both modes, so that a check and a real run say the same.
    planned = to_come(wanted, place)
    if store and not check:
        store.converge(wanted, place)
    return planned


def _wanted(params: dict[str, t.Any]) -> Wanted:
    return Wanted(
        roles=tuple(role["name"] for role in params["roles"]),
        databases=tuple(
            WantedDatabase(item["name"], item["owner"], tuple(item["schema"])) for item in params["databases"]
        ),
        grants=tuple(
            Grant(item["role"], item["database"], tuple(item["tables"]), tuple(item["privileges"]), item["schema"])
            for item in params["grants"]
        ),
        isolate=params["isolate"],
    )


def _password(params: dict[str, t.Any], role: dict[str, t.Any]) -> str:
    if role["password"]:
        return str(role["password"])
    if not role["secret"]:
        raise PgError(f"roles: the password of {role['name']} is empty. Give one, or name a secret.")
    return read_key(params, role["secret"], f"the secret of role {role['name']}")


def main() -> None:
    module = ReticentModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
