"""`user …`: accounts of the app. A password is asked for, or read from a file or a pipe; never an argument."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepviz.cli_output import Db, Json, emit
from stepviz.errors import StepvizError

if TYPE_CHECKING:
    from db.store import Store

user = typer.Typer(help="Accounts of the app: with one, everybody signs in.", no_args_is_help=True)
ROLES = ("annotator", "admin")
Name = Annotated[str, typer.Argument(help="letters, digits and . @ + -; Ana and ana are one")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="read the password from standard input, one line")]


@user.command("add")
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="annotator: labels what studies offer; admin: all of it")] = "annotator",
    password_stdin: Stdin = False,
    db: Db = None,
    json: Json = False,
) -> None:
    """Make an account. The first one has to be an admin's."""
    from db.store import open_store
    from stepviz.accounts import checked_name, hashed

    name = checked_name(name)
    if role not in ROLES:
        raise StepvizError(f"--role is {' or '.join(ROLES)}, not {role!r}")
    with open_store(db) as store:
        if role != "admin" and not any(u.role == "admin" and not u.disabled for u in store.users()):
            raise StepvizError(f"there is no admin yet: `user add {name} --role admin`, or make another one first")
        if store.user(name) is not None:  # before a password is asked for
            raise StepvizError(f"there is a user {name!r} already: choose another name, or `user password {name}`")
        store.add_user(name, role, hashed(_password(password_stdin)))
        first = len(store.users()) == 1
    later = " An app that runs already asks nobody to sign in: start it anew." if first else ""
    emit({"name": name, "role": role}, json, lambda: f"{name} can sign in as {_article(role)}.{later}")


@user.command("list")
def list_(db: Db = None, json: Json = False) -> None:
    """Who there is."""
    from db.store import open_store

    with open_store(db) as store:
        rows = [_told(u) for u in store.users()]
    text = "\n".join(f"{r['name']:<24} {r['role']:<10} {'disabled' if r['disabled'] else ''}".rstrip() for r in rows)
    emit(rows, json, lambda: text or "There are no accounts: the app is for this machine alone, and nobody signs in.")


@user.command("password")
def password(name: Name, password_stdin: Stdin = False, db: Db = None, json: Json = False) -> None:
    """Give an account another password."""
    from db.store import open_store
    from stepviz.accounts import hashed

    with open_store(db) as store:
        known = _known(store, name)
        store.change_user(known, password=hashed(_password(password_stdin)))
    emit({"name": known}, json, lambda: f"{known} has a new password.")


@user.command("change")
def change(
    name: Name,
    role: Annotated[str | None, typer.Option(help="annotator, admin")] = None,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable", help="no longer sign in; labels stay")] = None,
    db: Db = None,
    json: Json = False,
) -> None:
    """Another role; or an account that can no longer sign in, and can again."""
    from db.store import open_store

    if role is None and disabled is None:
        raise StepvizError("say what to change: --role, --disable or --enable")
    if role is not None and role not in ROLES:
        raise StepvizError(f"--role is {' or '.join(ROLES)}, not {role!r}")
    with open_store(db) as store:
        known = _known(store, name)
        store.change_user(known, role=role, disabled=disabled)
        now = _told(store.user(known))
    emit(now, json, lambda: f"{known}: {now['role']}{', disabled' if now['disabled'] else ''}")


def _known(store: Store, name: str) -> str:
    found = store.user(name)
    if found is None:
        raise StepvizError(f"there is no user {name!r}: `user list` shows them, `user add` makes one")
    return found.name


def _password(stdin: bool) -> str:
    """Asked for twice, or one line of standard input."""
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise StepvizError("there is no terminal to ask for a password at: give --password-stdin and pipe it in")
    return typer.prompt("Password", hide_input=True, confirmation_prompt=True)


def _article(role: str) -> str:
    return f"an {role}"


def _told(row: Any) -> dict[str, Any]:
    return {"name": row.name, "role": row.role, "disabled": row.disabled, "created_at": row.created_at.isoformat()}
