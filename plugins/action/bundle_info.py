# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module bundle_info without a process of its own: the bundle is on the controller, and so is this."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.airgap.mlops.plugins.module_utils._args_bundle import ARCH_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._bundle import inspect_bundle
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            argument_spec={"path": {"type": "path", "required": True}, **ARCH_ARGS}
        )
        try:
            manifest = inspect_bundle(os.path.expanduser(args["path"]), args["arch"])
        except AirgapError as exc:
            raise AnsibleActionFail(str(exc), result=exc.details) from exc
        return {**result, "changed": False, "manifest": manifest.data}
