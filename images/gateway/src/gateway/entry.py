"""What one cached prediction looks like in Redis, and what is not taken for one. Pure.

Before the JSON stands a keyed BLAKE2 of key and JSON, so an entry belongs to one key, and who can write to Redis but has not the secret
makes none. Without a secret (the library's default) it only tells what was copied or damaged.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ("FORMAT", "MAX_ENTRY_BYTES", "MAX_SECRET", "Entry")

# Raised whenever the meaning of a field changes: entries of another format are as good as absent.
FORMAT = 2
# A prediction is a few numbers; what is larger is somebody else's data, and is neither written nor read to its end.
MAX_ENTRY_BYTES = 64 * 1024
# Of which BLAKE2 takes no more.
MAX_SECRET = hashlib.blake2b.MAX_KEY_SIZE
_MAC = 64  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class Entry:
    """The output of one version of a model for one row. The row itself is not in it: only its digest, as the key."""

    model: str
    version: str
    output: Mapping[str, t.Any]

    def encode(self, key: str, secret: bytes = b"") -> bytes:
        document = {"format": FORMAT, "model": self.model, "version": self.version, "output": dict(self.output)}
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
        return _mac(key, text, secret) + text

    @classmethod
    def decode(cls, data: bytes | None, key: str, secret: bytes = b"") -> Entry | None:
        """None for whatever is not an entry of this key and format: absent, cut, copied, poisoned, of an older or newer release."""
        if not data or len(data) > MAX_ENTRY_BYTES:
            return None
        text = data[_MAC:]
        if not hmac.compare_digest(data[:_MAC], _mac(key, text, secret)):
            return None
        try:
            document, end = _DECODER.raw_decode(text.decode("ascii"))
        except (ValueError, RecursionError):
            return None
        if end != len(text):
            return None
        match document:
            case {"format": 2, "model": str(model), "version": str(version), "output": dict(output), **rest} if (
                not rest
            ):
                # 2.0 equals 2 as well
                return cls(model, version, output) if type(document["format"]) is int else None
        return None


def _mac(key: str, text: bytes, secret: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + b"\n" + text, key=secret, digest_size=_MAC // 2).hexdigest().encode()


def _refuse(constant: str) -> t.NoReturn:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
