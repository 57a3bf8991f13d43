"""The stand-in's own unit tests: of its packages that have any, and no other, since the rest would compile Kubernetes."""

from __future__ import annotations

from tests.run.process import ROOT, VENV, call, report, tool_env
from tests.run.report import Tally
from tests.run.tallies import go_tally

__all__ = ("unit",)

MODULE = ROOT / "tests/k3s_standin"


def unit() -> Tally:
    packages = sorted({f"./{path.parent.relative_to(MODULE)}" for path in MODULE.glob("*/*_test.go")})
    # the flags that the stand-in is built with, so that what is compiled here is not compiled again there
    env = tool_env(GOTOOLCHAIN="local", CGO_ENABLED="0", GOFLAGS="-trimpath -buildvcs=false -gcflags=all=-dwarf=false")
    done = call(
        "unit go test", [str(VENV / "bin/go"), "test", "-count=1", "-v", *packages], env=env, cwd=MODULE, patient=True
    )
    report("unit", done)
    return go_tally(done)
