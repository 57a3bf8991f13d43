# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options that name MLflow's database and the schema it should have. Twin of doc_fragments/_mlflow.py: change both."""

from __future__ import annotations

import typing as t

__all__ = ("MLFLOW_ARGS",)

MLFLOW_ARGS: dict[str, t.Any] = {
    "database": {"type": "str", "default": "mlflowdb"},
    "schema_revisions": {"type": "list", "elements": "str", "required": True},
}
