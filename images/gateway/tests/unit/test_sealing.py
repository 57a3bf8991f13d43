"""What is sealed is read with the same key and for the same thing alone."""

from __future__ import annotations

import pytest

from gateway.sealing import Seal, SealError

KEY, OTHER = b"k" * 32, b"j" * 32


def test_what_was_sealed_is_read_and_shows_nothing() -> None:
    sealed = Seal(KEY).close(b'{"sex":"Female"}', "decision 1")
    assert Seal(KEY).open(sealed, "decision 1") == b'{"sex":"Female"}'
    assert "Female" not in sealed
    assert sealed != Seal(KEY).close(b'{"sex":"Female"}', "decision 1"), "equal values do not look alike"


@pytest.mark.parametrize(
    ("sealed", "name"),
    [
        (Seal(KEY).close(b"x", "one"), "two"),
        (Seal(OTHER).close(b"x", "one"), "one"),
        (Seal(KEY).close(b"x", "one")[:-4], "one"),
        ('{"sex":"Female"}', "one"),
        ("", "one"),
        ("ü", "one"),
    ],
    ids=["of another", "another key", "cut", "not sealed", "nothing", "no ASCII"],
)
def test_nothing_else_is_read(sealed: str, name: str) -> None:
    with pytest.raises(SealError):
        Seal(KEY).open(sealed, name)
