# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Options that name MLflow's database and the schema it should have. Twin of module_utils/_args_mlflow.py: change both."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  database:
    description:
      - Name of MLflow's database.
    type: str
    default: mlflowdb
  schema_revisions:
    description:
      - Every schema revision that this release of MLflow knows, oldest first, so that the last is the one it needs.
      - The bundle's manifest has them as C(mlflow.schema_revisions).
    type: list
    elements: str
    required: true
"""
