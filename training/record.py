"""What every training from the store shares: which dataset, which base, where it works, and its model's record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

from db.store import Store
from db.values import DatasetRow, ModelRow
from stepviz.engines import canonical
from stepviz.errors import StepvizError
from stepviz.train_left import SPEC, keeps, partial, spec_in


class Base(NamedTuple):
    """The checkpoint that a training starts from."""

    spec: str  # of an engine
    source: str  # folder or hub id
    id: str  # of its record


def base_of(given: str) -> Base:
    """`embedded:NAME`, `hf:ID_OR_PATH`, a folder or a hub id; `vllm:` before these says where it samples."""
    from stepviz.embedded import path

    kind, _, rest = given.partition(":")
    if kind == "vllm" and rest:
        return base_of(rest)
    if kind == "openai":
        raise StepvizError("a server's model cannot be trained: name its checkpoint, a folder or a hub id")
    if kind == "embedded":
        name = rest or "student"
        return Base(canonical(given), str(path(name)), id_of(path(name), f"embedded/{name}"))
    source = rest if kind == "hf" else given
    folder = Path(source)
    if folder.is_dir():
        return Base(f"hf:{folder.absolute()}", source, id_of(folder))
    if folder.is_absolute() or source.startswith("."):
        raise StepvizError(f"there is no folder {source}: give embedded:NAME, a folder or a hub id")
    return Base(f"hf:{source}", source, id_of(source, source))


def empty_folder(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StepvizError(f"{out} is not empty; choose another --out")


def datasets(store: Store, ids: Sequence[int], recipes: Sequence[str], trainer: str) -> list[DatasetRow]:
    """The datasets, checked before anything starts: there, not empty, and of a kind that this training learns from."""
    found = [store.dataset(id) for id in ids]
    for dataset in found:
        if recipes and dataset.recipe not in recipes:
            raise StepvizError(
                f"dataset {dataset.id} ({dataset.name}) was built by the recipe {dataset.recipe}; {trainer} learns "
                f"from {' or '.join(recipes)}: build one with `python -m stepviz dataset build {recipes[0]}`"
            )
        if dataset.n_rows == 0:
            raise StepvizError(f"dataset {dataset.id} ({dataset.name}) is empty: nothing to train on")
    return found


def rows(store: Store, chosen: Sequence[DatasetRow]) -> Iterator[dict[str, Any]]:
    for dataset in chosen:
        yield from store.dataset_rows(dataset.id)


def workplace(spec: Mapping[str, Any]) -> Path:
    """The folder that a training works in, with its own checkpoints. StepvizError where another's would be lost."""
    folder = partial(Path(spec["out"]))
    if spec_in(folder) != spec:
        if keeps(folder):
            raise StepvizError(
                f"the name {spec['name']} has the checkpoint of another training: choose another name, or give up that "
                "checkpoint (--discard)"
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / SPEC).write_text(json.dumps(spec, sort_keys=True), encoding="utf-8")
    return folder


def publish(spec: Mapping[str, Any], cost: Mapping[str, Any]) -> None:
    """The model is whole: it gets its name, with training.json beside it; over an empty folder too."""
    work = partial(Path(spec["out"]))
    (work / "training.json").write_text(json.dumps(cost, default=_plain) + "\n", encoding="utf-8")
    work.rename(spec["out"])
    (Path(spec["out"]) / SPEC).unlink()


def id_of(source: Path | str, name: str = "") -> str:
    """The id under which a model stands in the store, and by which engines and scorers name it here.

    source: a folder, or a hub id, of which the config is fetched where it is not here yet.
    """
    import torch
    from transformers import AutoConfig

    from stepviz.engines.precision import precision
    from stepviz.engines.transformers import identity
    from stepviz.reward.loading import chosen_device

    folder, dtype = Path(source), torch.float32
    try:
        dtype = precision(AutoConfig.from_pretrained(str(source), trust_remote_code=False), chosen_device(None))
    except (OSError, ValueError) as error:
        if not folder.is_dir():  # of a folder, loading says what it lacks
            raise StepvizError(f"cannot read the config of {str(source)!r}: {error}") from error
    return identity(str(source), name or folder.resolve().name, dtype)


def write_whole(path: Path, text: str) -> None:
    """The old file is there until the new one is, so that a kill leaves one of the two."""
    unfinished = path.with_name(f"{path.name}.partial")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(path)


def finish(
    store: Store,
    out: Path,
    role: str,
    base: Base,
    chosen: Sequence[DatasetRow],
    cost: Mapping[str, Any],
    run_id: int | None = None,
    also: Sequence[Base] = (),
) -> ModelRow:
    """Writes training.json and the model's record, with what it was made of, and base and `also` as its parents."""
    write_whole(out / "training.json", json.dumps(cost, default=_plain) + "\n")  # it says whose the folder is
    parents = {parent.id: parent.spec for parent in (base, *also)}
    for id, spec in parents.items():
        store.add_model(ModelRow(id, spec=spec))
    made_of = [{"id": d.id, "name": d.name, "version": d.version, "recipe": d.recipe, "hash": d.hash} for d in chosen]
    meta = {"datasets": made_of, **{k: v for k, v in cost.items() if k != "losses"}}
    model = ModelRow(
        id_of(out),
        role,
        f"hf:{out.absolute()}",
        parents=tuple(parents),
        run_id=run_id,
        meta=json.loads(json.dumps(meta, default=_plain)),
    )
    store.add_model(model)
    return model


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
