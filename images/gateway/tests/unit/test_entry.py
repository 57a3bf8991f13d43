"""Whatever lies in Redis under a key of ours is an entry or nothing."""

from __future__ import annotations

import hashlib
import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.entry import MAX_ENTRY_BYTES, Entry
from gateway.store import CacheStore

KEY, SECRET = "pred:v1:" + "0" * 64, b"s" * 32
ENTRY = Entry("income", "3", {"income": ">50K", "p": 0.75, "none": None})
GOOD = {"format": 2, "model": "income", "version": "3", "output": {"income": ">50K"}}


def signed(document: bytes) -> bytes:
    """By another road: what somebody with the secret could have written."""
    mac = hashlib.blake2b(digest_size=32, key=SECRET)
    for part in (KEY.encode(), b"\n", document):
        mac.update(part)
    return mac.hexdigest().encode() + document


POISON = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\xff\xfe\x00", id="no text"),
    pytest.param(b"null", id="null"),
    pytest.param(b"[]", id="list"),
    pytest.param(json.dumps(GOOD).encode()[:-1], id="cut"),
    pytest.param(json.dumps(GOOD).encode() + b"x", id="more behind it"),
    pytest.param(b"[" * 60_000, id="deep"),
    pytest.param(b'{"format":2,"model":"m","version":"1","output":{"x":NaN}}', id="nan"),
    pytest.param(b'{"format":2,"model":"m","version":"1","output":{"x":' + b"9" * 5000 + b"}}", id="endless integer"),
    pytest.param(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94.", id="pickle"),
    pytest.param(json.dumps({**GOOD, "output": "x" * MAX_ENTRY_BYTES}).encode(), id="oversized"),
    pytest.param(json.dumps({**GOOD, "more": 1}).encode(), id="one field more"),
    *(pytest.param(json.dumps({k: v for k, v in GOOD.items() if k != key}).encode(), id=f"no {key}") for key in GOOD),
    *(
        pytest.param(json.dumps({**GOOD, key: value}).encode(), id=f"{key} {value!r}")
        for key, values in {
            "format": [0, 1, 3, "2", True, 2.0, None],
            "model": [1, None],
            "version": [3, None],
            "output": [[], "x", 1, None],
        }.items()
        for value in t.cast(list[object], values)
    ),
]


@pytest.mark.parametrize("document", POISON)
def test_poison_is_nothing_even_when_it_is_signed(document: bytes) -> None:
    assert Entry.decode(signed(document), KEY, SECRET) is None


def test_what_is_signed_for_this_key_alone_is_an_entry() -> None:
    document = json.dumps(GOOD).encode()
    assert Entry.decode(signed(document), KEY, SECRET) == Entry("income", "3", {"income": ">50K"})
    assert Entry.decode(signed(document), KEY[:-1] + "1", SECRET) is None, "copied to another row of the same version"


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        json.dumps({**GOOD, "format": 1}).encode(),
        ENTRY.encode(KEY),
        ENTRY.encode(KEY, b"t" * 32),
        ENTRY.encode(KEY, SECRET).replace(b">50K", b"<50K"),
        ENTRY.encode(KEY, SECRET)[1:],
    ],
    ids=["absent", "empty", "old format", "unsigned", "another secret", "changed", "cut"],
)
def test_what_is_not_signed_is_nothing(data: bytes | None) -> None:
    assert Entry.decode(data, KEY, SECRET) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(), st.text(), st.dictionaries(st.text(), JSON, max_size=5))
def test_what_was_written_is_read(model: str, version: str, output: dict[str, t.Any]) -> None:
    entry = Entry(model, version, output)
    assert Entry.decode(entry.encode(KEY), KEY) == entry
    assert Entry.decode(entry.encode(KEY, SECRET), KEY, SECRET) == entry


@given(st.binary(max_size=200))
def test_no_bytes_break_it(data: bytes) -> None:
    assert Entry.decode(data, KEY) is None
    assert Entry.decode(signed(data), KEY, SECRET) is None


def test_a_secret_that_is_too_long_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="has 65 bytes; it may have 64"):
        CacheStore(t.cast("t.Any", None), b"s" * 65)
