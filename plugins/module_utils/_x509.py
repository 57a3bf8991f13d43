# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Common name and validity of a PEM certificate, with the standard library alone. Pure.

`k3s certificate check` would tell, too, but not on every release, and not while k3s is down.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import typing as t
from dataclasses import dataclass

__all__ = ("Certificate", "parse_certificate")

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_EXPLICIT_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x17, 0x18
_COMMON_NAME = bytes.fromhex("0603550403")


@dataclass(frozen=True)
class Certificate:
    common_name: str
    not_before: datetime.datetime
    not_after: datetime.datetime


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start of the content and end of the DER element at an offset."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    return tag, start, start + length


def _elements(data: bytes, start: int, end: int) -> t.Iterator[tuple[int, bytes]]:
    while start < end:
        tag, content, start = _element(data, start)
        yield tag, data[content:start]


def _time(tag: int, text: bytes) -> datetime.datetime:
    layouts = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}
    return datetime.datetime.strptime(text.decode("ascii"), layouts[tag]).replace(tzinfo=datetime.timezone.utc)


def _common_name(subject: bytes) -> str:
    at = subject.find(_COMMON_NAME)
    if at < 0:
        return ""
    _tag, start, end = _element(subject, at + len(_COMMON_NAME))
    return subject[start:end].decode("utf-8", "replace")


def parse_certificate(pem: str) -> Certificate | None:
    """The first certificate of a PEM file, or None when there is none that can be read."""
    match = _PEM.search(pem)
    if not match:
        return None
    try:
        der = base64.b64decode("".join(match.group(1).split()), validate=True)
        _tag, start, _end = _element(der, 0)
        _tag, start, end = _element(der, start)
        fields = [field for field in _elements(der, start, end) if field[0] != _EXPLICIT_VERSION]
        # serial, signature algorithm, issuer, validity, subject
        not_before, not_after = (_time(*field) for field in _elements(fields[3][1], 0, len(fields[3][1])))
        return Certificate(_common_name(fields[4][1]), not_before, not_after)
    except (binascii.Error, IndexError, KeyError, ValueError):
        return None
