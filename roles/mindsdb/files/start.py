"""start.py: MindsDB as the first process of its container.

It waits for its database, for MindsDB gives up at once where there is none; lays out its web pages, where the image has them; and
ends on SIGTERM as MindsDB ends on Ctrl-C. Without that, the signal does nothing to a first process, and every stop takes the whole
grace period and cuts off whoever waits for an answer.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import time
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

PAUSE = 2.0
REPEAT = 30.0
PAGES = Path("/opt/mindsdb-studio")
MARK = "archive.sha256"


def say(text: str) -> None:
    sys.stdout.write(f"start: {text}\n")
    sys.stdout.flush()


def database_problem(url: str) -> str:
    """Why the database cannot be used, or nothing. The message of a failed login holds no password."""
    parts = make_url(url)
    try:
        with psycopg.connect(
            host=parts.host,
            port=parts.port,
            dbname=parts.database,
            user=parts.username,
            password=parts.password,
            connect_timeout=5,
        ) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as exc:
        return " ".join(str(exc).split())
    return ""


def wait_for_database(url: str) -> None:
    said = 0.0
    while problem := database_problem(url):
        if time.monotonic() - said > REPEAT or not said:
            said = time.monotonic()
            say(f"waiting for the database: {problem}")
        time.sleep(PAUSE)


def lay_out_pages(storage: Path) -> None:
    """MindsDB serves its pages from a folder that it can write to, and the image is read-only."""
    target = storage / "static"
    wanted = (PAGES / MARK).read_text(encoding="utf-8") if (PAGES / MARK).is_file() else ""
    mark = target / MARK
    if (mark.read_text(encoding="utf-8") if mark.is_file() else "") == wanted:
        return
    shutil.rmtree(target, ignore_errors=True)
    if wanted:
        new = storage / "static.new"
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(PAGES, new)
        new.rename(target)


def main() -> None:
    # SIGINT too: whoever started this in the background may have had it ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    wait_for_database(os.environ["MINDSDB_DB_CON"])
    lay_out_pages(Path(os.environ["MINDSDB_STORAGE_DIR"]))
    sys.argv = ["mindsdb"]
    runpy.run_module("mindsdb", run_name="__main__", alter_sys=True)


# MindsDB starts its own processes by importing the main module once more.
if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        # Before MindsDB ran, or between two waits of its main loop: what it started ends with it.
        for child in multiprocessing.active_children():
            child.terminate()
        for child in multiprocessing.active_children():
            child.join(15)
        os._exit(0)
