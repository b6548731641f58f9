"""Accounts: who may sign in, and as what."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from db.columns import encode_text, now
from db.models import UserTable
from db.rows import table
from db.session import Database
from db.study_values import Role, UserRow
from stepviz.errors import StepvizError


def folded(name: str) -> str:
    """As names are compared: Ana and ana are one."""
    return name.casefold()


class UserQueries(Database):
    def add_user(self, name: str, role: Role, password: str) -> None:
        """password: argon2's encoded hash. StepvizError: the name, in whichever case, is taken."""
        row = {"name": name, "folded": folded(name), "role": role, "password": password}
        with self.writing() as connection:
            if connection.execute(select(UserTable.name).where(UserTable.folded == row["folded"])).scalar():
                raise StepvizError(f"there is a user {name!r} already: choose another name, or `user password {name}`")
            connection.execute(insert(table(UserTable)).values(**row, disabled=False, created_at=now()))

    def user(self, name: str) -> UserRow | None:
        """name: whatever somebody typed, also what no database takes: that is nobody's."""
        wanted = encode_text(folded(name))
        with self.reading() as connection:
            row = connection.execute(select(UserTable.__table__).where(UserTable.folded == wanted)).first()
        return None if row is None else UserRow(row.name, row.role, row.password, row.disabled, row.created_at)

    def users(self) -> list[UserRow]:
        """By name."""
        with self.reading() as connection:
            rows = connection.execute(select(UserTable.__table__).order_by(UserTable.folded)).all()
        return [UserRow(row.name, row.role, row.password, row.disabled, row.created_at) for row in rows]

    def change_user(
        self, name: str, *, role: Role | None = None, password: str | None = None, disabled: bool | None = None
    ) -> None:
        """What is None stays. StepvizError: there is no such user, or nobody would be left who is an admin."""
        asked = {"role": role, "password": password, "disabled": disabled}
        values = {column: value for column, value in asked.items() if value is not None}
        with self.writing() as connection:
            rows = connection.execute(select(UserTable.__table__).with_for_update()).all()
            row = next((row for row in rows if row.folded == folded(name)), None)
            if row is None:
                raise StepvizError(f"there is no user {name!r}: `user list` shows them, `user add` makes one")
            left = [other for other in rows if other.role == "admin" and not other.disabled and other.name != row.name]
            stays = values.get("role", row.role) == "admin" and not values.get("disabled", row.disabled)
            if row.role == "admin" and not row.disabled and not (stays or left):
                raise StepvizError(f"{row.name} is the last admin: make another one first")
            if values:
                connection.execute(update(UserTable).where(UserTable.name == row.name).values(**values))
