"""What makes two things the same: hashes of problems and prefixes, and the seed that follows from a draw's key.

Stored rows carry these values, so none of them may ever change.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata


def digest(*parts: str) -> str:
    """24 hex digits over the parts; the parts are length-prefixed, so ("ab", "c") != ("a", "bc")."""
    h = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        h.update(len(raw).to_bytes(8, "big") + raw)
    return h.hexdigest()[:24]


def problem_id(question: str) -> str:
    """A problem is the hash of its question: NFC, white space folded; all sources share it."""
    return digest("problem", re.sub(r"\s+", " ", unicodedata.normalize("NFC", question)).strip())


def prefix_hash(prefix: str) -> str:
    """The identity of a prefix is its exact text, separators included."""
    return digest("prefix", prefix)


def continuation_seed(problem: str, prefix: str, model: str, sampling: str, j: int) -> int:
    """The seed of a continuation is derived from its key (63 bits): same key, same draw, in any order."""
    raw = hashlib.sha256("\x1f".join(("seed", problem, prefix, model, sampling, str(j))).encode()).digest()
    return int.from_bytes(raw[:8], "big") >> 1
