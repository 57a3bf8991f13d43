# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Attributes of the collection's modules. One ACTIONGROUP_X for each entry of action_groups in meta/runtime.yml."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return the changed status that a real run would have, without changing anything.
  diff_mode:
    description: Returns what was changed, or would be changed in check mode, when in diff mode.
  idempotent:
    description: A second run with the same options changes nothing and says so.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return the changed status that a real run would have, without changing anything.
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    description: Returns what was changed, or would be changed in check mode, when in diff mode.
    details:
      - This action does not modify state.
  idempotent:
    support: full
    description: A second run with the same options changes nothing and says so.
    details:
      - This action does not modify state.
"""

    ACTIONGROUP_K3S = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/airgap.mlops.k3s) in C(module_defaults) to set the shared options of this module.
    support: full
    membership:
      - airgap.mlops.k3s
"""

    ACTIONGROUP_KUBE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/airgap.mlops.kube) in C(module_defaults) to set the shared options of this module.
    support: full
    membership:
      - airgap.mlops.kube
"""

    ACTIONGROUP_BUNDLE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/airgap.mlops.bundle) in C(module_defaults) to set the shared options of this module.
    support: full
    membership:
      - airgap.mlops.bundle
"""

    ACTIONGROUP_NODE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/airgap.mlops.node) in C(module_defaults) to set the shared options of this module.
    support: full
    membership:
      - airgap.mlops.node
"""
