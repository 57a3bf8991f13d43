"""Run in MindsDB's pod, as somebody who got into it: try whatever is near, and say what came of it as JSON.

Standard input has the addresses and passwords to try, also as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
from sqlalchemy.engine import make_url

PATIENCE = 4


def connect(target: str) -> str:
    host, _colon, port = target.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), PATIENCE):
            return "open"
    except OSError as exc:
        return f"shut: {exc}"


def query(user: str | None, password: str | None, database: str, sql: str) -> str:
    try:
        with psycopg.connect(
            host="postgresql", dbname=database, user=user, password=password, connect_timeout=PATIENCE
        ) as session:
            return f"rows: {session.execute(sql).fetchall()}"
    except psycopg.Error as exc:
        return f"refused: {exc}"


def write(path: str) -> str:
    try:
        with open(path, "w", encoding="utf-8"):
            return "written"
    except OSError as exc:
        return f"refused: {exc}"


def main() -> None:
    given = json.load(sys.stdin)
    with ThreadPoolExecutor(20) as pool:
        reached = dict(zip(given["targets"], pool.map(connect, given["targets"]), strict=True))
    own = make_url(os.environ["MINDSDB_DB_CON"])
    queries = {
        "own": query(own.username, own.password, "mindsdb", "SELECT count(*) > 0 FROM project"),
        "own role, MLflow's database": query(own.username, own.password, "mlflowdb", "SELECT 1"),
        "own role, the server's database": query(own.username, own.password, "postgres", "SELECT 1"),
        "own role, the site's database": query(own.username, own.password, "plantdb", "SELECT 1"),
        "reader, granted": query("mindsdb_reader", given["reader"], "plantdb", "SELECT count(*) FROM batches"),
        "reader, not granted": query("mindsdb_reader", given["reader"], "plantdb", "SELECT count(*) FROM wages"),
        "reader, writing": query("mindsdb_reader", given["reader"], "plantdb", "DELETE FROM batches RETURNING id"),
        "reader, MindsDB's state": query("mindsdb_reader", given["reader"], "mindsdb", "SELECT 1"),
        "reader, MLflow's database": query("mindsdb_reader", given["reader"], "mlflowdb", "SELECT 1"),
        "reader, a file of the server's": query(
            "mindsdb_reader", given["reader"], "plantdb", "SELECT pg_read_file('/etc/passwd')"
        ),
    }
    with open("/proc/self/status", encoding="utf-8") as stream:
        status = dict(line.split(":", 1) for line in stream if ":" in line)
    result = {
        "reached": reached,
        "queries": queries,
        "token": os.path.exists("/var/run/secrets/kubernetes.io"),
        "uid": os.getuid(),
        "capabilities": status["CapEff"].strip().strip("0"),
        "no_new_privileges": status["NoNewPrivs"].strip(),
        "root": write("/opt/venv/x"),
        "config": write("/etc/mindsdb/config.json"),
        "neighbours": sorted(name for name in os.environ if name.endswith("_SERVICE_HOST")),
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
