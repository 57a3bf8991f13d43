# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Quoting and SCRAM verifiers for PostgreSQL. Pure, except that a new verifier takes its salt from the operating system."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import re
import secrets
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

with contextlib.suppress(
    ImportError
):  # open_server() in _pg_server reports it, and no password is looked at before that
    from scramp import ScramException, ScramMechanism

__all__ = ("PgError", "make_verifier", "parse_address", "quote_identifier", "quote_literal", "verifier_matches")

_MAX_IDENTIFIER = 63  # bytes; the server cuts longer ones off, and would then mean another object
_VERIFIER = re.compile(r"SCRAM-SHA-256\$(?P<iterations>\d+):(?P<salt>[^$]+)\$(?P<stored>[^:]+):(?P<server>.+)")


class PgError(AirgapError):
    """PostgreSQL cannot be asked, or refuses."""


def quote_identifier(name: str) -> str:
    """Return a name as it stands in SQL text. Statements that define roles and databases take no parameters."""
    if not name or "\0" in name or len(name.encode()) > _MAX_IDENTIFIER:
        raise PgError(f"'{name}' cannot be a name in PostgreSQL: 1 to {_MAX_IDENTIFIER} bytes, no NUL")
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return a text as a literal in SQL text, whatever standard_conforming_strings says."""
    if "\0" in text:
        raise PgError("a text for PostgreSQL cannot hold NUL")
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def parse_address(address: str) -> tuple[str, int]:
    """Split `host:port`, with an IPv6 address in brackets."""
    host, colon, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536 or (":" in host and "[" not in address):
        raise PgError(f"address '{address}' is not HOST:PORT, such as db.example.org:5432 or [2001:db8::1]:5432")
    return host, int(port)


def make_verifier(password: str, salt: bytes | None = None) -> str:
    """Return what the server stores for a password, so that the password itself is in no statement."""
    return _verifier(password, None, salt or secrets.token_bytes(16))


def verifier_matches(verifier: str | None, password: str) -> bool:
    """Say whether a stored verifier is that of this password. Anything but SCRAM-SHA-256 is not."""
    found = _VERIFIER.fullmatch(verifier or "")
    if not found:
        return False
    try:
        again = _verifier(password, int(found["iterations"]), base64.b64decode(found["salt"], validate=True))
    except (binascii.Error, ScramException):  # a salt or count that we would not choose: not ours
        return False
    return hmac.compare_digest(again, found.group())


def _verifier(password: str, iterations: int | None, salt: bytes) -> str:
    mechanism: t.Any = ScramMechanism("SCRAM-SHA-256")
    salt, stored, server, count = mechanism.make_auth_info(password, iteration_count=iterations, salt=salt)
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${count}:{parts[0]}${parts[1]}:{parts[2]}"
