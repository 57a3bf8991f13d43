"""What must wait on a disk and must not be read there: sealed with a key that comes from the site's and is not on the volume."""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ("Seal", "SealError")

NONCE = 12


class SealError(Exception):
    """It was sealed with another key, or for another thing, or is not sealed at all."""


class Seal:
    """AES-GCM. `name` says what it is about: sealed for one thing, it opens for no other."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, content: bytes, name: str) -> str:
        nonce = os.urandom(NONCE)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, content, name.encode())).decode()

    def open(self, sealed: str, name: str) -> bytes:
        try:
            data = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(data[:NONCE], data[NONCE:], name.encode())
        except (ValueError, InvalidTag) as exc:
            raise SealError(type(exc).__name__) from None
