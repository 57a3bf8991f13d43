"""`python -m tests.run.s3 URL OPERATION JSON`: an S3 client that is not the modules' own (tests/integration/s3_client.py)."""

from __future__ import annotations

import os
import sys

from tests.run.process import ROOT, VENV
from tests.run.pythons import make_env

__all__ = ("s3_python",)


def s3_python() -> str:
    return str(make_env("s3", VENV / "bin/python", [ROOT / "tests/integration/requirements-s3.txt"]))


if __name__ == "__main__":
    python = s3_python()
    os.execv(python, [python, str(ROOT / "tests/integration/s3_client.py"), *sys.argv[1:]])  # noqa: S606 - no shell wanted
