"""Take the schema one revision back, by MLflow's own migration: what a database of an older release looks like."""

import os

from alembic import command
from mlflow.store.db.utils import _get_alembic_config

command.downgrade(_get_alembic_config(os.environ["MLFLOW_BACKEND_STORE_URI"]), "-1")
