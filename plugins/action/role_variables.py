# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All of the module role_variables: it looks at variables, which the controller has."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.airgap.mlops.plugins.plugin_utils._role_variables import (
    Options,
    missing_options,
    read_options,
    unknown_names,
    value_problems,
)
from ansible_collections.airgap.mlops.plugins.plugin_utils._setting_checks import setting_problems

_ROLES = Path(__file__).resolve().parents[2] / "roles"


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            argument_spec={
                "roles": {"type": "list", "elements": "str", "required": True},
                "others": {"type": "list", "elements": "str", "default": []},
                "allowed": {"type": "list", "elements": "str", "default": []},
            }
        )
        variables = {
            name: value
            for name, value in (task_vars or {}).items()
            if not name.startswith("_") and name not in args["allowed"]
        }
        try:
            options = read_options(_ROLES, args["roles"])
        except OSError as exc:
            raise AnsibleActionFail(
                f"{exc.filename} cannot be read: is {args['roles']} a list of this collection's roles?"
            ) from exc
        problems = [
            *unknown_names(options, args["others"], variables),
            *missing_options(options, variables),
            *self._values(options, variables),
        ]
        if problems:
            raise AnsibleActionFail(
                f"Nothing was changed: {'; '.join(problems)}. Mend them in the inventory, or on the command line.",
                result={"problems": problems},
            )
        return {**result, "changed": False}

    def _values(self, options: Options, variables: t.Mapping[str, t.Any]) -> t.Iterator[str]:
        for role in options.values():
            for name, spec in role.items():
                if name not in variables:
                    continue
                try:
                    value = self._templar.template(variables[name])
                except AnsibleError as exc:
                    yield f"{name} cannot be evaluated: {exc.message.splitlines()[0]}"
                    continue
                yield from value_problems(name, spec, value) or setting_problems(name, value)
