"""compile_new.py FOLDER: byte code for every module below it that has none yet, never checked against the source's time.

Images have a fixed time and a read-only root, so byte code that looks out of date could never be renewed. What a layer below
has compiled already is left alone: compileall would write it once more, and so copy it into this layer.
"""

from __future__ import annotations

import importlib.util
import os
import py_compile
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def compile_one(source: str) -> str:
    try:
        py_compile.compile(source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except py_compile.PyCompileError as exc:
        # A template, or code for another Python: it fails when it is imported, as it would without this.
        return f"left as it is: {source}: {exc.exc_type_name}"
    return ""


def main() -> None:
    sources = sorted(str(path) for path in Path(sys.argv[1]).rglob("*.py"))
    new = [source for source in sources if not os.path.exists(importlib.util.cache_from_source(source))]
    with ProcessPoolExecutor() as pool:
        for note in pool.map(compile_one, new, chunksize=64):
            if note:
                sys.stderr.write(f"{note}\n")


if __name__ == "__main__":
    main()
