"""Hashes of the trail.  Pure.

Leaf and chain are domain-separated as in RFC 9162 section 2.1.1 (0x00 before a leaf), so that a tree can be laid over the same leaves later.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from audit import model

START: Final = bytes(32)
"""The chain hash before the first line."""


def leaf_hash(content: bytes) -> bytes:
    """SHA-256(0x00 || content)."""
    return hashlib.sha256(b"\x00" + content).digest()


def chained(previous: bytes, leaf: bytes) -> bytes:
    """SHA-256(previous || leaf)."""
    return hashlib.sha256(previous + leaf).digest()


def verify(records: Iterable[model.Record], *, start_seq: int = 1, start_chain: bytes = START) -> model.Verdict:
    """Check order, gaps, bytes and chain of consecutive records; stops at the first flaw."""
    expected, chain = start_seq, start_chain
    for record in records:
        flaw = _flaw(record, expected, chain)
        if flaw:
            return model.Verdict(records=expected - start_seq, chain_hash=chain.hex(), flaw=flaw)
        chain = bytes.fromhex(record.chain_hash)
        expected += 1
    return model.Verdict(records=expected - start_seq, chain_hash=chain.hex(), flaw="")


def _flaw(record: model.Record, expected: int, chain: bytes) -> str:
    if record.seq != expected:
        return f"line {expected} is missing; line {record.seq} stands in its place"
    leaf = leaf_hash(record.content)
    if leaf.hex() != record.leaf_hash:
        return f"line {expected} was altered: its bytes do not match its hash"
    if chained(chain, leaf).hex() != record.chain_hash:
        return f"line {expected} does not continue the chain"
    return ""
