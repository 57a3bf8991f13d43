"""One training in a process of its own, which its parent can end: `python worker.py [BYTES]`, pickles over stdin and stdout."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import sys
import types
from pathlib import Path

__all__: tuple[str, ...] = ()

PR_SET_PDEATHSIG = 1
PACKAGE = "tabular_worker"


def main() -> int:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody trains for a parent that is gone
    os.nice(5)  # predictions go first
    # Private memory, and not addresses: libraries reserve many more of these than they ever use.
    for size in map(int, sys.argv[1:]):
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    # When memory runs out all the same, the kernel is to take this process and not MindsDB. It may take the whole container.
    Path("/proc/self/oom_score_adj").write_text("1000")
    # what libraries print must not get between the pickles
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # the package without its __init__, which would import the whole of MindsDB
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(Path(__file__).resolve().parent)]
    sys.modules[PACKAGE] = package
    from tabular_worker import columns, options, training  # type: ignore[import-not-found]

    task = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent, over a pipe
    trained = training.train(
        columns.columns_from_json(task["columns"]),
        task["problem"],
        task["features"],
        task["labels"],
        options.Options(**task["options"]),
    )
    with answer:
        pickle.dump({"pipeline": trained.pipeline, "algorithm": trained.algorithm, "metrics": trained.metrics}, answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
