"""Nobody answers for a moment after a pod's start; a wrong password is wrong at once."""

from __future__ import annotations

import typing as t

import psycopg
import pytest

from gateway import first_connection


class Server:
    """Says these, one after another, and then lets everybody in."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, conninfo: str, **settings: t.Any) -> str:
        self.asked += 1
        if self.answers:
            raise psycopg.OperationalError(self.answers.pop(0))
        return f"{conninfo} {settings}"


@pytest.fixture
def meet(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Server]:
    def start(*answers: str) -> Server:
        server = Server(*answers)
        monkeypatch.setattr(psycopg, "connect", server)
        monkeypatch.setattr(first_connection, "PAUSE", 0)
        return server

    return start


def test_a_refusal_is_tried_again(meet: t.Callable[..., Server]) -> None:
    meet("Connection refused", "Connection refused")
    found: object = first_connection.connect("postgresql://a", autocommit=True)
    assert found == "postgresql://a {'autocommit': True}"


def test_after_a_while_it_is_told(meet: t.Callable[..., Server]) -> None:
    meet(*["Connection refused"] * 9)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        first_connection.connect(seconds=0)


def test_a_wrong_password_is_not_tried_again(meet: t.Callable[..., Server]) -> None:
    server = meet('FATAL: password authentication failed for user "audit"')
    with pytest.raises(psycopg.OperationalError, match="authentication"):
        first_connection.connect()
    assert server.asked == 1
