"""When the whole proof is done, and when reading back is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.demo import __main__ as demo
from tests.demo.proof import Proof
from tests.demo.steps import DemoError
from tests.node.node import Node


@pytest.mark.parametrize(("value", "whole"), [(None, False), ("", False), ("full", True)])
def test_proof_can_be_asked_for(monkeypatch: pytest.MonkeyPatch, value: str | None, whole: bool) -> None:
    monkeypatch.delenv("PROOF", raising=False)
    if value is not None:
        monkeypatch.setenv("PROOF", value)
    assert demo._wants_whole_proof() is whole


def test_a_misspelt_wish_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROOF", "all")
    with pytest.raises(DemoError, match="PROOF is 'all', and can only be full"):
        demo._wants_whole_proof()


@pytest.fixture
def proof(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Proof:
    monkeypatch.setattr(Proof, "folder", tmp_path)
    return Proof(Node.named("demo"))


def test_what_was_written_is_kept_by_a_proof_that_went_through(proof: Proof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Proof, "_everything", lambda self: self.written.write_text("{}"))
    proof.everything()
    assert proof.written.exists()


def test_a_proof_that_failed_is_done_again_as_a_whole(proof: Proof, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Proof) -> None:
        self.written.write_text("{}")
        raise DemoError("a pod was lost")

    monkeypatch.setattr(Proof, "_everything", fail)
    with pytest.raises(DemoError):
        proof.everything()
    assert not proof.written.exists()
