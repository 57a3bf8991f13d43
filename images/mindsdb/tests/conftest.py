from __future__ import annotations

import os
import warnings

# As the engine trains: threads that wait for each other on a busy machine take a hundred times longer.
# Before scikit-learn is imported, which reads it once.
os.environ["OMP_NUM_THREADS"] = "1"

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of MLflow about itself, while it is imported
    import mlflow.pyfunc
    import mlflow.sklearn  # noqa: F401
