"""The model of the proof: its answer is the digest of the weights it was loaded with. Logged as code, so nothing is pickled."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class Digest(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        with Path(context.artifacts["weights"]).open("rb") as weights:
            self.digest = hashlib.file_digest(weights, "sha256").hexdigest()

    def predict(
        self, context: PythonModelContext, model_input: list[dict[str, float]], params: dict[str, t.Any] | None = None
    ) -> list[str]:
        return [self.digest for _row in model_input]


set_model(Digest())
