#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_models_info
short_description: Check the models of the gateway and their policies
version_added: 1.0.0
author:
  - The airgap.mlops maintainers (@airgap-mlops)
description:
  - Reads a list of models with the gateway's own code, and names everything that is wrong with it in one message.
  - It runs on the controller, with its Python, and asks the host nothing.
requirements:
  - pydantic >= 2.12 on the controller
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_node
options:
  models:
    description: The models, as O(airgap.mlops.gateway#role:main:gateway_models) has them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Find faults of policies before anything is changed
  airgap.mlops.gateway_models_info:
    models: "{{ gateway_models }}"
"""

RETURN = r"""
problems:
  description: What has to be mended.
  returned: failure
  type: list
  elements: str
  sample: ["gateway_models: model income: column age: has an unknown action; choose from keep, drop, hash, generalise and text"]
"""

# The work is done by the action plugin of this name.
