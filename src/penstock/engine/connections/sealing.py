"""Encryption of saved connections: AES-256-GCM (NIST SP 800-38D), with the name and the type bound to it.

What is sealed for one name and type cannot be opened under another, so that rows of the table cannot be swapped.
Nothing else in Penstock imports the package `cryptography`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from typing import Any

import msgspec

from penstock.core import typed
from penstock.core.errors import ConfigurationError
from penstock.core.extras import require
from penstock.core.secrets import Secret

EXTRA = "data"
"""The extra that brings `cryptography`."""

_LAYOUT = b"\1"
_KEY_BYTES, _NONCE_BYTES = 32, 12
_encode = msgspec.json.Encoder().encode
_decode = typed.json_decoder(dict[str, Any]).decode


class Damaged(Exception):
    """The key is right, and what is sealed is not what was sealed for this name and type."""


class Key:
    """A key of 256 bits.

    Args:
        text: the key in base64.
        journal: the identity of the only journal it was made for; empty where anybody may have made it for anything.

    Attributes:
        id: tells it from other keys; made of its hash.

    Raises:
        ConfigurationError: it is no such key. The message does not hold it.
    """

    def __init__(self, text: Secret, journal: str = "") -> None:
        raw = _bytes_of(text)
        if raw is None:
            raise ConfigurationError(
                f"A key for connections is {_KEY_BYTES} random bytes in base64, and this one is not.",
                hint="make one: penstock connection new-key",
            )
        self.text = text
        self.journal = journal
        self.id = hashlib.sha256(b"penstock connection key\0" + raw).hexdigest()[:8]

    def __repr__(self) -> str:
        return f"Key(id={self.id!r})"


def new_key(journal: str = "") -> Key:
    """A key that nobody has yet."""
    return Key(Secret(base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode()), journal)


def _bytes_of(text: Secret) -> bytes | None:
    try:
        raw = base64.b64decode(text.reveal().strip().translate(_URL_SAFE), validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == _KEY_BYTES else None


_URL_SAFE = str.maketrans("-_", "+/")


def _cipher(key: Key) -> Any:
    require("cryptography", EXTRA)
    aead = require("cryptography.hazmat.primitives.ciphers.aead", EXTRA)
    return aead.AESGCM(_bytes_of(key.text))


def _bound(name: str, kind: str) -> bytes:
    return _encode(["penstock connection", name, kind])


def seal(key: Key, name: str, kind: str, fields: dict[str, Any]) -> bytes:
    """Encrypt fields for one name and type. `fields` is emptied.

    Raises:
        MissingExtra: `cryptography` is not installed.
    """
    try:
        cipher, nonce = _cipher(key), os.urandom(_NONCE_BYTES)
        sealed: bytes = cipher.encrypt(nonce, _encode(fields), _bound(name, kind))
        return _LAYOUT + nonce + sealed
    finally:
        fields.clear()


def opened(key: Key, name: str, kind: str, sealed: bytes) -> dict[str, Any]:
    """The fields that were sealed with this key for this name and type.

    Raises:
        Damaged: they were not, or are not whole.
        MissingExtra: `cryptography` is not installed.
    """
    cipher = _cipher(key)
    if not sealed.startswith(_LAYOUT):
        raise Damaged
    start = len(_LAYOUT) + _NONCE_BYTES
    fields = None
    try:
        fields = _decode(cipher.decrypt(sealed[len(_LAYOUT) : start], sealed[start:], _bound(name, kind)))
    except Exception as error:
        if type(error).__name__ not in ("InvalidTag", "DecodeError", "ValidationError", "ValueError"):
            raise
    if fields is None:
        raise Damaged
    return fields
