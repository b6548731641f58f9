"""Gradio's `auth`: whether a name has a password (stepviz.accounts), and how long a name that is guessed at waits."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException

from db.store import Store
from stepviz.accounts import SignIn
from stepviz.ui.page import stylesheets

# Gradio's form shows this always, and where a try failed a sentence of its own and no other; our style sheets come by
# it, too: what `head` brings is for who has signed in
_WORDS = (
    "<b>stepviz</b>After three wrong passwords a name has to wait before the next try, up to a minute. "
    "Admins give new ones."
)
MESSAGE = f'<span id="sv-sign-in">{stylesheets()}{_WORDS}</span>'


def signing_in(store: Store) -> Callable[[str, str], Awaitable[bool]]:
    """One a process. Refused with 400, as Gradio refuses: of other codes its form says nothing."""
    door = SignIn(store)

    async def check(name: str, password: str) -> bool:
        before = door.wait_s(name)
        if await door.check(name, password):
            return True
        if wait := math.ceil(max(before, door.wait_s(name))):
            raise HTTPException(400, f"Too many wrong passwords: try again in {wait} s.")
        return False

    return check
