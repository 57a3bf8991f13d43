"""ready.py: fails unless MindsDB answers a question that it has to ask its database.

Run by kubelet every few seconds, so it imports as little as it can. What it logs in with is in the container's environment.
"""

from __future__ import annotations

import http.client
import json
import os
import sys

PORT = 47334
PATIENCE = 8


def ask(method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[int, str, str]:
    """Status, the start of the answer, and the session that came with it."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(300).decode(errors="replace"), answer.getheader("Set-Cookie", "")
    except OSError as exc:
        sys.exit(f"MindsDB does not answer: {exc}")
    finally:
        connection.close()


def main() -> None:
    status, text, _session = ask(
        "GET", "/api/projects/", {"Authorization": f"Bearer {os.environ['MINDSDB_AUTH_TOKEN']}"}
    )
    if status == http.HTTPStatus.UNAUTHORIZED:
        # Somebody logged out with this very token, which MindsDB then forgets until it starts again.
        login = json.dumps({"username": os.environ["MINDSDB_USERNAME"], "password": os.environ["MINDSDB_PASSWORD"]})
        _status, _text, session = ask("POST", "/api/login", {"Content-Type": "application/json"}, login)
        status, text, _session = ask("GET", "/api/projects/", {"Cookie": session.partition(";")[0]})
    if status != http.HTTPStatus.OK:
        sys.exit(f"MindsDB answers {status}: {text}")


if __name__ == "__main__":
    main()
