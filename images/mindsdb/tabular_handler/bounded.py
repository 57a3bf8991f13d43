"""Training within limits that hold: in a child process, which gets the memory that is left and is killed when its time is over."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from .columns import columns_to_json
from .errors import TrainingError
from .memory import memory_left
from .options import Options
from .training import Prepared, Trained

__all__ = ("train_bounded",)

WORKER = Path(__file__).with_name("worker.py")
# One thread: the same sums whatever the machine, and OpenMP's spinning threads do not fight over a pod's few cores.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}

# A container that takes more than its limit is ended whole, and MindsDB with it. So training gets what is left when it begins,
# less what the others may come to need meanwhile.
RESERVE = 64 * 2**20
# What Python and the libraries take before the first row.
LEAST = 256 * 2**20
# How numpy, C++, the dynamic loader and OpenBLAS say that there is no more.
NO_MEMORY = re.compile("MemoryError|bad_alloc|[Cc]annot allocate memory|Memory allocation still failed")


def train_bounded(prepared: Prepared, options: Options) -> Trained:
    task = {
        "columns": columns_to_json(prepared.columns),
        "problem": prepared.problem,
        "features": prepared.features,
        "labels": prepared.labels,
        "options": asdict(options),
    }
    given = pickle.dumps(task, protocol=5)
    rows, room = len(prepared.labels), _room()
    if room is not None and room < LEAST:
        raise TrainingError(_no_memory(rows, room))
    with subprocess.Popen(
        [sys.executable, "-P", str(WORKER), *([] if room is None else [str(room)])], env={**os.environ, **ONE_THREAD},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        try:
            out, errors = child.communicate(given, timeout=options.time_limit)
        except subprocess.TimeoutExpired as exc:
            raise TrainingError(
                f"Training took longer than time_limit={options.time_limit} seconds and was ended: raise time_limit, "
                f"set algorithm='linear', or select fewer rows or columns."
            ) from exc
        finally:
            child.kill()  # does nothing to a child that has ended
    if child.returncode != 0:
        text = errors.decode(errors="replace")
        if child.returncode == -signal.SIGKILL or NO_MEMORY.search(text):
            raise TrainingError(_no_memory(rows, room))
        last = text.strip().splitlines()[-1:] or ["no message"]
        raise TrainingError(f"Training failed (exit code {child.returncode}): {last[0]}")
    answer = pickle.loads(out)  # noqa: S301 - from our own child, over a pipe
    return Trained(answer["pipeline"], answer["algorithm"], answer["metrics"])


def _room() -> int | None:
    left = memory_left()
    return None if left is None else max(left - RESERVE, 0)


def _no_memory(rows: int, room: int | None) -> str:
    there_is = "there is" if room is None else f"the {room // 2**20} MiB that are left in MindsDB's limit"
    return (
        f"Training on {rows} rows needs more memory than {there_is}: "
        f"select fewer rows or columns, or raise mindsdb_resources.limits.memory."
    )
