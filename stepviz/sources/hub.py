"""Data sets of the hub, and folders that `datasets` wrote: the same rows as out of a file.

"owner/name" or "owner/name:config", every split unless one is asked for. The hub needs a network; the
message says what to do without one.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepviz.sources.fields import BadRow
from stepviz.sources.files import Unreadable
from stepviz.sources.rows import Row, plain, storable
from stepviz.types import Refusal

CONNECT = 5  # seconds in which the hub must answer at all, unless HF_HUB_ETAG_TIMEOUT says otherwise
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(:[\w.-]+)?")
_FILES = {".json", ".jsonl", ".csv", ".tsv", ".parquet", ".txt", ".gz", ".zip", ".arrow"}


def is_hub_id(path: Path | str) -> bool:
    """Whether `path` can only mean a data set of the hub: two names, no file, no folder and no file's ending."""
    name = str(path)
    if not _ID.fullmatch(name) or Path(name).exists():
        return False
    return Path(name).suffix.lower() not in _FILES and not Path(name).parent.is_dir()


def rows(path: Path | str) -> Iterator[Row | Refusal]:
    """Rows of a hub id or of a `datasets` folder, split by split; Unreadable where there is none."""
    index = 0
    for split, table in _folder(Path(path)) if Path(path).is_dir() else _hub(str(path)):
        for number, fields in enumerate(table, 1):
            try:
                yield Row(number, index, storable(plain(fields)), split)
            except BadRow as reason:
                yield Refusal(str(path), number, str(reason))
            index += 1


def _hub(name: str) -> list[tuple[str | None, Any]]:
    import datasets

    repository, _, config = name.partition(":")
    try:
        found = load_dataset(repository, config or None)
    except ValueError as error:  # also "Config name is missing. Please pick one among …"
        first = str(error).splitlines()[0]
        raise Unreadable(f"{name}: {first} (a configuration is written {repository}:NAME)") from None
    except (OSError, datasets.exceptions.DatasetsError) as error:  # no network, no such data set, no access
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise Unreadable(
            f"{name}: there is no such file here, and as a data set of the hub it could not be fetched: {why}. "
            "Without a network, fetch the data set elsewhere and give the path of its JSONL, CSV or Parquet file; "
            "a private one needs HF_TOKEN"
        ) from None
    return _splits(found)


def load_dataset(repository: str, config: str | None) -> Any:
    """The network boundary: a Dataset or a DatasetDict of the hub, or of the cache where there is no network.

    ConnectionError after some seconds without a connection: `datasets` alone goes on asking for half a minute.
    """
    import datasets

    why = _unreachable()
    if why is None:
        return datasets.load_dataset(repository, config)
    with _offline():
        try:
            return datasets.load_dataset(repository, config)
        except ConnectionError:
            raise ConnectionError(why) from None


def _unreachable() -> str | None:
    """Why the hub cannot be reached, or None. A connection will do, without an answer: a slow network is one."""
    from huggingface_hub import constants, get_session

    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set, and it is not in the cache"
    told = os.environ.get("HF_HUB_ETAG_TIMEOUT")
    patience = constants.HF_HUB_ETAG_TIMEOUT if told else CONNECT
    failed: list[str] = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=(patience, 1, 1, 1))  # to connect, read, write, share
        except Exception as error:  # of whichever client huggingface_hub uses
            if "Connect" in type(error).__name__:  # no address, refused, no connection in time
                failed.append(str(error))

    asking = threading.Thread(target=ask, daemon=True)  # a thread: to ask for an address may hang without end
    asking.start()
    asking.join(patience + 1)
    if asking.is_alive():
        failed.append(f"no connection in {patience:.0f} s (HF_HUB_ETAG_TIMEOUT=60 waits longer)")
    return f"{constants.ENDPOINT} cannot be reached ({failed[0]})" if failed else None


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """`datasets` looks into its cache and asks nobody."""
    from datasets import config

    before, config.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


def _folder(path: Path) -> list[tuple[str | None, Any]]:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        import datasets

        try:
            return _splits(datasets.load_from_disk(str(path)))
        except (OSError, ValueError) as error:
            raise Unreadable(f"{path}: a damaged `datasets` folder ({str(error).splitlines()[0]})") from None
    inside = sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.suffix.lower() in _FILES)[:5]
    which = f"give one of its files: {', '.join(inside)}" if inside else "give a file"
    raise Unreadable(f"{path}: this is a folder, not a file; {which}")


def _splits(found: Any) -> list[tuple[str | None, Any]]:
    if isinstance(found, dict):  # a DatasetDict
        return [({"validation": "dev"}.get(name, name), table) for name, table in found.items()]
    return [(None if found.split is None else str(found.split), found)]
