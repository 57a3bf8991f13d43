"""The bundle that all tests use: made by what `make demo` runs, so that a second run finds everything built."""

from __future__ import annotations

import threading
import time

from tests.demo.bundle import make_bundle, make_images
from tests.demo.k3s import find_k3s
from tests.demo.steps import DemoError
from tests.run.process import LOGS
from tests.run.report import clock, say
from tests.run.servers import BUNDLE

__all__ = ("ensure_bundle",)

_made: list[str] = []
_making = threading.Lock()


def ensure_bundle() -> str:
    """Make it, or find that nothing has changed. Returns what k3s is in it, for reports."""
    with _making:
        if not _made:
            _made.append(_make())
        return _made[0]


def _make() -> str:
    started = time.monotonic()
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        k3s = find_k3s(lambda: make_images(BUNDLE, LOGS / "images.log"))
        make_bundle(k3s, BUNDLE, LOGS / "bundle.log")
    except DemoError as exc:
        raise SystemExit(f"the bundle cannot be made: {exc}") from exc
    say(f"bundle       with {k3s.description}  {clock(time.monotonic() - started)}")
    return k3s.description
