"""Gradio's `auth`: whether a name has a password (stepviz.accounts), and how long a name that is guessed at waits."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException

from db.store import Store
from stepviz.accounts import SignIn

# Gradio's form shows this sentence always, and no other than its own where a try failed
MESSAGE = "stepviz<br><small>After three wrong passwords each further try takes longer, up to a minute.</small>"


def signing_in(store: Store) -> Callable[[str, str], Awaitable[bool]]:
    """One a process. Refused with 400, as Gradio refuses: of other codes its form says nothing."""
    door = SignIn(store)

    async def check(name: str, password: str) -> bool:
        if await door.check(name, password):
            return True
        if wait := math.ceil(door.wait_s(name)):
            raise HTTPException(400, f"Too many wrong passwords: try again in {wait} s.")
        return False

    return check
