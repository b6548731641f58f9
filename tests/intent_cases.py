"""The app as a process with accounts, people who are signed in, and a look at whether anything has changed."""

from __future__ import annotations

import http.client
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from db.models import Base
from db.store import Store, open_store
from stepviz.accounts import hashed
from stepviz.bench_app import Running, app
from stepviz.studies import StudyConfig
from stepviz.types import SourceItem
from tests.store_cases import chain, problem

SECRET, WRONG = "correct horse battery", "wrong horse battery"
PEOPLE = {"root": "admin", "Ana": "annotator", "bob": "annotator", "eve": "annotator", "max": "admin"}


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """The app over a new store in the folder, in which it works, as people start it beside their stepviz.db."""
    with open_store(f"sqlite:///{folder}/stepviz.db") as store:
        studies = fill(store)
        with app(store.url, folder) as running:
            yield Served(running, store, folder, studies)


def fill(store: Store) -> dict[str, int]:
    """Accounts, and two studies of chains of three steps: name → id. An item is one person's."""
    password = hashed(SECRET)
    for name, role in PEOPLE.items():
        store.add_user(name, role, password)
    of = problem()
    chains = [chain(of, str(i)) for i in range(4)]
    store.add_items([SourceItem(of, tuple(chains))])
    config = StudyConfig(("correct",), 1, "given").told()
    items = [(one.id, False) for one in chains]
    studies = {name: store.add_study(name, config, "Be fair.", items, "root") for name in ("open", "closed")}
    store.open_study(studies["closed"], False)
    return studies


@dataclass
class Served:
    """store: the app's, opened by the test, too. people: signed in already; nobody: who has not."""

    running: Running
    store: Store
    folder: Path
    studies: dict[str, int]
    people: dict[str, httpx.Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nobody = self.client()
        for name in PEOPLE:
            self.people[name] = self.signed_in(name)

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.running.url, timeout=60, trust_env=False, headers=headers)

    def signed_in(self, name: str, password: str = SECRET) -> httpx.Client:
        client = self.client()
        answer = sign_in(client, name, password)
        assert answer.status_code == 200, answer.text
        return client

    def slot(self, name: str) -> int:
        """Whose turn this is at an item of the open study: the same each time."""
        return ask(self.people[name], "next", study=self.studies["open"]).json()["slot"]

    @contextmanager
    def refuses(self, *logged: str) -> Iterator[None]:
        """Nothing in the store changes, no file comes, and the log says this of it."""
        before, heard = self.dump(), len(self.running.said())
        yield
        assert self.dump() == before
        until = time.monotonic() + 10  # the other process may be slower to write than to answer
        while not all(line in (new := self.running.said()[heard:]) for line in logged):
            assert time.monotonic() < until, f"{logged} is not in the log:\n{new}"
            time.sleep(0.02)

    def dump(self) -> dict[str, Any]:
        """Every row of every table, and every file that was sent."""
        with closing(sqlite3.connect(self.folder / "stepviz.db")) as raw:
            rows: dict[str, Any] = {
                table.name: raw.execute(f"SELECT * FROM {table.name} ORDER BY rowid").fetchall()
                for table in Base.metadata.sorted_tables
            }
        assert rows["users"], "the dump holds what there is"
        return rows | {"files": sorted(map(str, (self.folder / "gradio").rglob("*")))}

    def raw(self, path: str) -> tuple[int, bytes]:
        """What is asked for by this very path, as no browser would send it."""
        where = urlsplit(self.running.url)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        try:
            cookies = "; ".join(f"{c.name}={c.value}" for c in self.people["root"].cookies.jar if not c.secure)
            connection.putrequest("GET", path, skip_accept_encoding=True)
            connection.putheader("Cookie", cookies)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def sign_in(client: httpx.Client, name: str, password: str = SECRET) -> httpx.Response:
    return client.post("/login", data={"username": name, "password": password})


def ask(client: httpx.Client, route: str, **sent: Any) -> httpx.Response:
    return client.post(f"/stepviz/annotate/{route}", json=sent)
