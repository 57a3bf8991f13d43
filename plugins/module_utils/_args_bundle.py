# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options of the modules in group bundle. Twin of doc_fragments/_bundle.py."""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import ARCHITECTURES

__all__ = ("ARCH_ARGS", "CACHE_ARGS")

ARCH_ARGS: dict[str, t.Any] = {"arch": {"type": "str", "choices": list(ARCHITECTURES)}}
CACHE_ARGS: dict[str, t.Any] = {"cache": {"type": "path"}}
