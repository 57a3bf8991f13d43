# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options of the modules in group k3s. Twin of doc_fragments/_k3s.py."""

from __future__ import annotations

import typing as t

__all__ = ("DEFAULT_DATA_DIR", "DEFAULT_K3S", "K3S_ARGS")

DEFAULT_K3S = "/usr/local/bin/k3s"
DEFAULT_DATA_DIR = "/var/lib/rancher/k3s"

K3S_ARGS: dict[str, t.Any] = {
    "k3s": {"type": "path", "default": DEFAULT_K3S},
    "data_dir": {"type": "path", "default": DEFAULT_DATA_DIR},
}
