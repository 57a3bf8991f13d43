"""Where a user keeps what takes long to make, for all checkouts: by content, so that nothing in it is ever out of date."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ("CACHE",)

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "airgap-mlops"
