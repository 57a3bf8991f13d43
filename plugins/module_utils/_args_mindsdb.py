# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options that say how to reach a MindsDB server and as whom. Twin of doc_fragments/_mindsdb.py: change both."""

from __future__ import annotations

import typing as t

__all__ = ("MINDSDB_ARGS", "MINDSDB_RULES")

MINDSDB_ARGS: dict[str, t.Any] = {
    "service": {"type": "str", "default": "mindsdb"},
    "port": {"type": "int", "default": 47334},
    "address": {"type": "str"},
    "tls": {"type": "bool", "default": False},
    "ca_path": {"type": "path"},
    "login_secret": {
        "type": "dict",
        "no_log": False,
        "default": {"name": "mindsdb-secret", "username": "username", "password": "password"},
        "options": {
            "name": {"type": "str", "required": True},
            "username": {"type": "str", "default": "username"},
            "password": {"type": "str", "default": "password", "no_log": False},
        },
    },
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
}

MINDSDB_RULES: dict[str, t.Any] = {"required_together": [("login_user", "login_password")]}
