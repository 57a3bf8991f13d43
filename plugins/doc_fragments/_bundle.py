# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options of the modules in group bundle. Twin of module_utils/_args_bundle.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  arch:
    description:
      - Architecture of the nodes that the bundle is for.
      - Modules that make a part of a bundle take the architecture of this host when it is not given; M(airgap.mlops.bundle_info)
        then takes a bundle for any.
    type: str
    choices: [amd64, arm64]
"""

    CACHE = r"""
options:
  cache:
    description:
      - Directory of build results, each under a key of everything that it was made from. Removing it costs nothing but time.
      - C(airgap-mlops) below E(XDG_CACHE_HOME), or below C(~/.cache), when it is not given.
    type: path
"""
