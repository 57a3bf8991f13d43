"""The bundle that all tests use: made by what `make demo` runs, so that a second run finds everything built."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future

from tests.run.process import call, report
from tests.run.report import say

__all__ = ("ensure_bundle",)

_made: Future[None] = Future()
_making = threading.Lock()


def ensure_bundle() -> None:
    """Make it, or find that nothing has changed: once for all lanes, and what fails is not tried again by the next."""
    with _making:
        if not _made.done():
            try:
                _make()
            except BaseException as exc:
                _made.set_exception(exc)
            else:
                _made.set_result(None)
    _made.result()


def _make() -> None:
    done = call("bundle", [sys.executable, "-m", "tests.demo", "bundle"], on_line=say)
    if done.rc != 0:  # its last lines say why
        raise SystemExit("the bundle cannot be made")
    report("bundle", done)
