"""Tokens and one-use codes: random text with a prefix and a checksum, kept only as SHA-256.

'gp_' + 52 characters of base32hex (256 bits) + 7 of CRC-32, so that a scanner of leaked files can tell a govpool token from
noise and a typing error is told from a stranger.  A code ('gpc_', 128 bits, valid a day) is short enough to be read out over the
telephone.
"""

import hashlib
import secrets
import zlib
from typing import Final

from primitives import ids

TOKEN: Final = "gp_"  # noqa: S105 -- a prefix, not a secret
CODE: Final = "gpc_"
_BITS: Final = {TOKEN: 256, CODE: 128}
_CHECK_LENGTH: Final = 7  # 32 bits


def new(prefix: str) -> str:
    """A fresh secret with `prefix` TOKEN or CODE."""
    body = prefix + _base32(secrets.randbits(_BITS[prefix]), _length(prefix))
    return body + _checksum(body)


def is_sound(text: str, prefix: str) -> bool:
    """Whether `text` has the form and the checksum of a secret with `prefix`."""
    body, check = text[:-_CHECK_LENGTH], text[-_CHECK_LENGTH:]
    sound = text.isascii() and text.startswith(prefix) and len(body) == len(prefix) + _length(prefix)
    return sound and secrets.compare_digest(_checksum(body), check)


def digest(text: str) -> str:
    """Hex SHA-256, the only form that is stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def _length(prefix: str) -> int:
    return -(-_BITS[prefix] // 5)


def _checksum(body: str) -> str:
    return _base32(zlib.crc32(body.encode()), _CHECK_LENGTH)


def _base32(number: int, length: int) -> str:
    return "".join(ids.ALPHABET[(number >> shift) & 31] for shift in range(5 * (length - 1), -1, -5))
