"""Accounts: who signs in, by argon2's hashes; a name whose password is guessed at is slowed down.

Nothing here blocks the server's event loop: a hash takes tens of milliseconds and is computed in a thread. A name that
does not exist takes as long as one that does, and is slowed down alike, so that nobody learns which names there are.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from db.store import Store
from db.users import folded
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LOCAL = "local"  # who labels where there are no accounts
SHORTEST = 10  # characters of a password
LONGEST = 1000  # more is no password, and hashing it would be work
FREE = 3  # wrong passwords in a row that cost nothing
MOST_S = 60.0  # that a try is put off
KEPT = 10_000  # names whose failures are remembered
_NAME = re.compile(r"[^\W_](?:[\w .@+-]{0,62}[^\W_])?")
_log = logging.getLogger("stepviz.accounts")


def checked_name(name: str) -> str:
    """As it is stored: NFC, without white space around it. StepvizError for one that cannot be a user's.

    Labels are kept by name: an account called as a data set's labels, or a judge, would speak in its place.
    """
    name = as_known(name)
    if len(name) > 64 or not _NAME.fullmatch(name):
        raise StepvizError(f"{name[:80]!r} can be no user's name: letters, digits and . @ + - inside, 64 at most")
    if folded(name) in _spoken_for():
        raise StepvizError(f"{name!r} can be no user's name: labels or a judge are called so already")
    return name


def _spoken_for() -> frozenset[str]:
    """Data sets by their formats, judges that are no people, and the one user of an app without accounts."""
    from stepviz.agree_sources import ALONE
    from stepviz.sources import FORMATS

    return frozenset({LOCAL, *ALONE, *FORMATS})


def as_known(name: str) -> str:
    """A name as it was typed, by whichever keyboard, as it is stored; case is the store's to fold."""
    return unicodedata.normalize("NFC", name).strip()


def hashed(password: str) -> str:
    """argon2id, encoded with its salt. StepvizError: too short, or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise StepvizError(f"a password has {SHORTEST} to {LONGEST:,} characters")
    return _hasher().hash(password)


@cache
def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher
    except ImportError:
        message = "argon2-cffi is missing: .venv/bin/pip install -r requirements.txt"
        raise StepvizError(message) from None
    return PasswordHasher()


@cache
def _nobody() -> str:
    """A hash that no password has: what is compared where there is no such user."""
    return _hasher().hash("nobody's password")


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    again_at: float = 0.0  # time.monotonic
    one_by_one: asyncio.Lock = field(default_factory=asyncio.Lock)  # who asks many times at once gains nothing


@dataclass
class SignIn:
    """`check` is Gradio's `auth`: whether this name has this password. One a process: it counts wrong ones by name.

    A method, not this object: Gradio awaits only what `inspect.iscoroutinefunction` knows, and takes the coroutine of
    any other callable for a yes.
    """

    store: Store
    tries: dict[str, _Tries] = field(default_factory=dict)

    async def check(self, name: str, password: str) -> bool:
        name = as_known(name)
        known = self._of(name)
        async with known.one_by_one:
            if (wait := known.again_at - time.monotonic()) > 0:
                _log.warning("sign-in of %r refused: too many wrong passwords, %.0f s left", name[:64], wait)
                return False
            if await asyncio.to_thread(self._right, name, password):
                self.tries.pop(_key(name), None)
                return True
            known.wrong += 1
            if known.wrong >= FREE:
                known.again_at = time.monotonic() + min(2.0 ** (known.wrong - FREE), MOST_S)
            _log.warning("sign-in of %r failed, %d in a row", name[:64], known.wrong)
            return False

    def wait_s(self, name: str) -> float:
        """Until the next try by this name is looked at; 0 where it is at once."""
        known = self.tries.get(_key(as_known(name)))
        return max(0.0, known.again_at - time.monotonic()) if known else 0.0

    def _of(self, name: str) -> _Tries:
        if len(self.tries) >= KEPT:  # the one that was tried longest ago
            self.tries.pop(next(iter(self.tries)))
        found = self.tries.pop(_key(name), None) or _Tries()
        self.tries[_key(name)] = found
        return found

    def _right(self, name: str, password: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError

        user = self.store.user(name)
        allowed = user is not None and not user.disabled and len(password) <= LONGEST
        try:
            matches = _hasher().verify(user.password if user else _nobody(), password[:LONGEST])
        except (Argon2Error, InvalidHashError):
            return False
        return bool(matches and allowed)


def _key(name: str) -> str:
    return folded(name)[:200]
