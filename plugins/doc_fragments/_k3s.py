# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options of the modules in group k3s. Twin of module_utils/_args_k3s.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  k3s:
    description:
      - Path of the k3s binary on the node.
    type: path
    default: /usr/local/bin/k3s
  data_dir:
    description:
      - Data directory of k3s.
    type: path
    default: /var/lib/rancher/k3s
"""
