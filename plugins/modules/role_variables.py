#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: role_variables
short_description: Check a host's variables against the roles that will read them
version_added: 1.0.0
author:
  - The airgap.mlops maintainers (@airgap-mlops)
description:
  - Looks at all variables of the host at once, before the first role starts, and names everything that is wrong with them in one message.
  - A variable that begins like those of a role and that no role knows is refused, as misspelt. So is a value that its role would refuse,
    or a module behind it, and a role's required variable that nobody gives.
  - It runs on the controller and asks the host nothing.
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_node
options:
  roles:
    description: Roles of this collection, without its name.
    type: list
    elements: str
    required: true
  others:
    description: Variables that are no role's and yet known. What else begins like them is refused too.
    type: list
    elements: str
    default: []
  allowed:
    description: Variables that are not looked at, such as those of roles of your own that begin in the same way.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Find misspelt variables before anything is changed
  airgap.mlops.role_variables:
    roles: [k3s, minio]
    others: [airgap_site, airgap_bundle]
"""

RETURN = r"""
problems:
  description: What has to be mended.
  returned: failure
  type: list
  elements: str
  sample: ["no role knows the variable minio_bucket (did you mean minio_buckets?)"]
"""

# The work is done by the action plugin of this name.
