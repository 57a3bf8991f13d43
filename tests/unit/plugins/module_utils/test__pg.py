# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._pg import (
    PgError,
    make_verifier,
    parse_address,
    quote_identifier,
    quote_literal,
    verifier_matches,
)

# What PostgreSQL 15.18 stored for CREATE ROLE x PASSWORD 'a b%'.
STORED_15 = (
    "SCRAM-SHA-256$4096:Uvl4tWHtxO3RhLlDk6cM8w==$"
    "zHWEvSCLe5iQA02Ta6KbdtOE6YcqpaOOA+dcDbi46Vo=:9ahwfgJnTXx8gyWNXoeQ0v4JePQUVGKXZ3BUuOX+okE="
)


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("mlflow", '"mlflow"'), ('a"b', '"a""b"'), ("Name; DROP", '"Name; DROP"'), ("ä" * 31, '"' + "ä" * 31 + '"')],
)
def test_quote_identifier(name: str, quoted: str) -> None:
    assert quote_identifier(name) == quoted


@pytest.mark.parametrize("name", ["", "a\0b", "a" * 64, "ä" * 32])
def test_names_the_server_would_change_are_refused(name: str) -> None:
    with pytest.raises(PgError, match="cannot be a name in PostgreSQL"):
        quote_identifier(name)


@pytest.mark.parametrize(
    ("text", "quoted"), [("", "''"), ("a'b", "'a''b'"), ("a\\b", " E'a\\\\b'"), ("a\\'b", " E'a\\\\''b'")]
)
def test_quote_literal(text: str, quoted: str) -> None:
    assert quote_literal(text) == quoted


def test_nul_is_refused() -> None:
    with pytest.raises(PgError, match="cannot hold NUL"):
        quote_literal("a\0b")


@pytest.mark.parametrize(
    ("address", "parts"),
    [("db:5432", ("db", 5432)), ("10.0.0.1:1", ("10.0.0.1", 1)), ("[2001:db8::1]:5432", ("2001:db8::1", 5432))],
)
def test_parse_address(address: str, parts: tuple[str, int]) -> None:
    assert parse_address(address) == parts


@pytest.mark.parametrize("address", ["", "db", "db:", ":5432", "db:x", "db:0", "db:65536", "2001:db8::1:5432", "[]:1"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(PgError, match="is not HOST:PORT"):
        parse_address(address)


@settings(max_examples=20)
@given(password=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
def test_verifier_matches_its_password_alone(password: str) -> None:
    verifier = make_verifier(password)
    assert password not in verifier or len(password) < 4
    assert verifier_matches(verifier, password)
    assert not verifier_matches(verifier, password + "x")


def test_verifier_of_a_server_is_understood() -> None:
    assert verifier_matches(STORED_15, "a b%")
    assert not verifier_matches(STORED_15, "a b")


@pytest.mark.parametrize(
    "verifier",
    [
        None,
        "",
        "md5" + "0" * 32,
        "SCRAM-SHA-256$4096:!$a:b",
        "SCRAM-SHA-256$1:MDEyMzQ1Njc4OWFi$a:b",
        "SCRAM-SHA-256$4096:MDEyMw==$a:b",
    ],
)
def test_what_is_not_a_verifier_of_ours_matches_nothing(verifier: str | None) -> None:
    assert not verifier_matches(verifier, "password")
