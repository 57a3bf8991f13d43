# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options that say how to reach a PostgreSQL server and as whom. Twin of doc_fragments/_pg.py: change both."""

from __future__ import annotations

import typing as t

__all__ = ("PG_ARGS", "secret_key")


def secret_key(name: str) -> dict[str, t.Any]:
    """The spec of an option that names a key of a Kubernetes Secret. It holds names, nothing secret."""
    return {
        "type": "dict",
        "no_log": False,
        "default": {"name": name, "key": "password"},
        "options": {
            "name": {"type": "str", "required": True},
            "key": {"type": "str", "default": "password", "no_log": False},
        },
    }


PG_ARGS: dict[str, t.Any] = {
    "service": {"type": "str", "default": "postgresql"},
    "port": {"type": "int", "default": 5432},
    "address": {"type": "str"},
    "tls": {"type": "bool", "default": False},
    "ca_path": {"type": "path"},
    "login_user": {"type": "str", "default": "postgres"},
    "login_database": {"type": "str", "default": "postgres"},
    "login_secret": secret_key("postgresql-secret"),
    "login_password": {"type": "str", "no_log": True},
}
