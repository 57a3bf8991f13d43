# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All of the module gateway_models_info: the gateway's own code judges its policies, which are on the controller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# In a process of its own: the gateway's package stays out of Ansible's.
_SOURCE = Path(__file__).resolve().parents[2] / "images/gateway/src"
_SECONDS = 60


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, args = self.validate_argument_spec(
            argument_spec={"models": {"type": "list", "elements": "dict", "required": True}}
        )
        problems = _problems(json.dumps(args["models"]))
        if problems:
            raise AnsibleActionFail(
                f"Nothing was changed: {'; '.join(problems)}. Mend gateway_models in the inventory.",
                result={"problems": problems},
            )
        return {**result, "changed": False}


def _problems(models: str) -> list[str]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gateway.policy", "-"],
            input=models, text=True, capture_output=True, timeout=_SECONDS, check=False,
            env={**os.environ, "PYTHONPATH": str(_SOURCE), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as exc:
        raise AnsibleActionFail(f"The gateway's code cannot be run with {sys.executable}: {exc}") from exc
    lines = [line for line in done.stderr.splitlines() if line]
    if done.returncode == 0:
        return []
    if done.returncode == 1 and lines and all(line.startswith("models: ") for line in lines):
        return [f"gateway_models: {line.removeprefix('models: ')}" for line in lines]
    if any("ModuleNotFoundError" in line for line in lines[-1:]):
        raise AnsibleActionFail(
            f"The controller's Python, {sys.executable}, lacks a package that the gateway's policies are read with: {lines[-1]}. "
            "Install what requirements.txt of this collection names."
        )
    raise AnsibleActionFail(f"The gateway's code ended with {done.returncode}: {' | '.join(lines[-5:])}")
