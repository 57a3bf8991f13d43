"""A client outside of the node, with MindsDB's own SDK: the login comes by stdin, what is found goes out as JSON.

python sdk.py http://NODE:30002 < {"username": …, "password": …}
"""

from __future__ import annotations

import json
import sys
import typing as t

import mindsdb_sdk
import requests

# Rows that no training saw, with their truth.
JOINED = """
    SELECT t.id, t.yield AS actual, m.yield AS predicted
    FROM (SELECT * FROM plant (SELECT * FROM batches WHERE id % 4 = 0)) AS t
    JOIN mindsdb.{model} AS m
"""


def refused(url: str, username: str, password: str) -> bool:
    try:
        mindsdb_sdk.connect(url, login=username, password=password)
    except requests.HTTPError as exc:
        return exc.response is not None and exc.response.status_code == 401
    return False


def farthest(server: t.Any, model: str) -> tuple[int, float]:
    """How many rows were answered, and how far the worst answer is from the truth."""
    table = server.query(JOINED.format(model=model)).fetch()
    return len(table), float((table["actual"] - table["predicted"]).abs().max())


def main() -> None:
    url, login = sys.argv[1], json.load(sys.stdin)
    found: dict[str, t.Any] = {
        "wrong_password_refused": refused(url, login["username"], login["password"] + "x"),
        "no_password_refused": refused(url, login["username"], "-"),
    }
    server = mindsdb_sdk.connect(url, login=login["username"], password=login["password"])
    found["datasources"] = [source.name for source in server.databases.list()]
    model = server.models.get("batch_yield")
    found["description"] = model.describe("model").iloc[0].to_dict()
    found["active"] = farthest(server, "batch_yield")
    found["first_version"] = farthest(server, "batch_yield.1")
    one = model.predict({"line": "line 1", "heat": 200.0})
    found["one_row"] = float(one["yield"][0])
    sys.stdout.write(json.dumps(found, default=str))


if __name__ == "__main__":
    main()
