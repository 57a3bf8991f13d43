#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: python_environment
short_description: Bring a Python environment on a node to what a bundle's wheels say
version_added: 1.0.0
author:
  - The airgap.mlops maintainers (@airgap-mlops)
description:
  - Makes a virtual environment from the node's own Python, without a network and without pip or ensurepip on the node.
  - Holds exactly the packages that the bundle's requirements name for this Python. Sends only the wheels that are missing and fit, and removes them
    once they are installed.
  - An environment that was left half-made, or was made by another Python, is made anew.
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_node
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  bundle:
    description: Path of the bundle's directory on the controller.
    type: path
    required: true
  prefix:
    description: Directory of the environment on the node.
    type: path
    default: /opt/airgap-mlops
  plan:
    description: What to do. Made from the bundle and the state of the node; cannot be given.
    type: dict
    suboptions:
      wanted:
        description: Version by name.
        type: dict
        required: true
      wheels:
        description: Digest by file name.
        type: dict
        required: true
      removals:
        description: Names of packages that do not belong there.
        type: list
        elements: str
        required: true
      rebuild:
        description: Whether to make the environment anew.
        type: bool
        required: true
      staging:
        description: Where the wheels are.
        type: path
        required: true
notes:
  - Runs partly on the controller. The connection has to be able to send input to a command, as C(ssh) and C(local) do.
"""

EXAMPLES = r"""
- name: Give the node the libraries that the other modules need
  airgap.mlops.python_environment:
    bundle: build/bundle
    prefix: /opt/airgap-mlops
"""

RETURN = r"""
actions:
  description: What was done, or would be done, in order.
  returned: success
  type: list
  elements: str
bytes_sent:
  description: Bytes that went to the node.
  returned: success
  type: int
installed:
  description: Version by name of the packages in the environment.
  returned: success
  type: dict
python:
  description: The node's Python.
  returned: success
  type: dict
usable:
  description: Whether the environment was there and whole.
  returned: success
  type: bool
"""

import os
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._venv import Venv, describe_python

ARGUMENT_SPEC: dict[str, t.Any] = {
    "bundle": {"type": "path", "required": True},
    "prefix": {"type": "path", "default": "/opt/airgap-mlops"},
    "plan": {
        "type": "dict",
        "options": {
            "wanted": {"type": "dict", "required": True},
            "wheels": {"type": "dict", "required": True},
            "removals": {"type": "list", "elements": "str", "required": True},
            "rebuild": {"type": "bool", "required": True},
            "staging": {"type": "path", "required": True},
        },
    },
}


def apply_plan(venv: Venv, plan: dict[str, t.Any]) -> None:
    """Carry out what the action plugin planned, and see that it came out so."""
    staging = plan["staging"]
    venv.check_wheels(staging, plan["wheels"])
    try:
        if plan["rebuild"]:
            venv.make(describe_python()["executable"])
        pip = next((os.path.join(staging, name) for name in plan["wheels"] if name.startswith("pip-")), "")
        wheels = [os.path.join(staging, name) for name in sorted(plan["wheels"]) if not name.startswith("pip-")]
        venv.remove(pip, plan["removals"])
        venv.install(pip, wheels)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    installed = venv.installed()
    if installed != plan["wanted"]:
        raise AirgapError(
            f"pip ended well, yet {venv.prefix} holds {installed} where {plan['wanted']} was wanted. Remove the directory and run this again."
        )


def run(module: AnsibleModule) -> dict[str, t.Any]:
    venv = Venv(module.run_command, module.params["prefix"])
    plan = module.params["plan"]
    if plan and not module.check_mode:
        apply_plan(venv, plan)
    return {
        "changed": bool(plan),
        "python": describe_python(),
        "usable": venv.usable(),
        "installed": venv.installed(),
        "actions": [],
        "bytes_sent": 0,
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
