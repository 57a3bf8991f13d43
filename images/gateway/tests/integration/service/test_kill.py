"""`kill -9` at any moment under load: what was answered is there afterwards, and only what was answered is missing nowhere."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time

import httpx
import pytest

from .conftest import Make
from .processes import ROW, Gateway

ROUNDS = 5


def load(gateway: Gateway, stop: threading.Event, answered: list[str], errors: list[str], number: int) -> None:
    """Ask until the process is gone; remember each decision whose answer came in whole."""
    sent = 0
    with gateway.client() as client:
        while not stop.is_set():
            rows = [{**ROW, "hours": (sent * 7 + number) % 40 + place} for place in range(1 + sent % 3)]
            try:
                answer = client.post("/v1/predictions", json={"model": "income", "rows": rows})
            except httpx.TransportError:
                return
            if answer.status_code != 200:
                errors.append(answer.text)
                return
            answered += [prediction["decision_id"] for prediction in answer.json()["predictions"]]
            sent += 1


# alone they go by another way than together
@pytest.mark.parametrize("clients", [1, 8])
def test_no_answered_decision_is_lost(make_gateway: Make, clients: int) -> None:
    gateway = make_gateway()
    (gateway.folder / "audit").write_text("postgresql://gateway:x@127.0.0.1:9/audit")  # away, so that attributes stay
    gateway.env["GATEWAY_AUDIT_DATABASE_FILE"] = str(gateway.folder / "audit")
    answered: list[str] = []
    errors: list[str] = []
    for _ in range(ROUNDS):
        gateway.start()
        stop = threading.Event()
        threads = [threading.Thread(target=load, args=(gateway, stop, answered, errors, n)) for n in range(clients)]
        before = len(answered)
        for thread in threads:
            thread.start()
        while len(answered) < before + 20:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.7))  # noqa: S311 - any moment will do
        gateway.stop(signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert len(answered) > ROUNDS * 20
    gateway.start()
    assert gateway.get(f"/v1/decisions/{answered[0]}").status_code == 200
    assert gateway.get(f"/v1/decisions/{answered[-1]}").status_code == 200
    gateway.stop()
    with sqlite3.connect(gateway.volume / "decisions.sqlite") as db:
        kept = {ident for (ident,) in db.execute("SELECT id FROM decisions")}
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        complete = db.execute("SELECT count(*) FROM decisions JOIN attributes ON decision_id = id").fetchone()
    db.close()
    assert set(answered) - kept == set()
    assert complete == (len(kept),)  # a decision and its attributes are one transaction
