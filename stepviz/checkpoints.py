"""What a checkpoint's files say of it, read without torch and without loading a weight: forms and checks use this."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from stepviz.engines import canonical, is_causal
from stepviz.engines.server import served
from stepviz.errors import StepvizError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_LONGEST_HEADER = 100 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`folder` is None for a hub id that is not on this machine: then nothing but its name is known."""

    spec: str  # as engines and scorers take it
    source: str  # folder or hub id, as `from_pretrained` takes it
    name: str
    folder: Path | None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def causal(self) -> bool | None:
        """Whether it is a language model, and not a classifier; None: its config does not say."""
        return is_causal(self.config.get("architectures"))

    @property
    def weights_stamp(self) -> int:
        """Changes with the files of a folder's weights: a model that was trained anew under its old name is another."""
        files = self.folder.glob("*.safetensors") if self.folder else ()
        return hash(tuple(sorted((f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files)))

    @property
    def of_hub(self) -> bool:
        """Whether it is named by a hub id, on this machine or not."""
        return self.folder is None or self.source != str(self.folder)

    @property
    def parameters(self) -> int | None:
        """None while its files are not all here."""
        if self.folder is None or (self.of_hub and not _fetched(self.folder)):
            return None
        return sum(_weights(self.folder).values())

    @property
    def context(self) -> int | None:
        found = self.size("max_position_embeddings")
        return found if found else None

    def size(self, name: str) -> int:
        """A number of the (text) config; 0 where it has none."""
        text = self.config.get("text_config")
        value = (text if isinstance(text, Mapping) else self.config).get(name)
        return value if isinstance(value, int) else 0

    def has_token(self, token: str) -> bool | None:
        """Whether the tokenizer has this text as one token; None where its files do not say."""
        return (
            token in _tokens(self.folder, _tokenizer_stamp(self.folder))
            if self.folder and _tokenizer_stamp(self.folder)
            else None
        )


def look(given: str) -> Checkpoint:
    """`embedded:NAME`, `hf:ID_OR_PATH`, a folder or a hub id, or `vllm:` before any of these; of a server's model
    (`openai:…`) no more is known than its name. StepvizError where there is none, saying what to give.
    """
    given = given.strip()
    kind, _, rest = given.partition(":")
    if kind == "openai":
        asked = served(given)
        return Checkpoint(asked.spec, asked.model, asked.model, None)
    if kind == "vllm" and rest:
        found = look(rest)
        return replace(found, spec=f"vllm:{found.spec.removeprefix('hf:')}")
    if kind == "embedded":
        from stepviz.embedded import path

        name = rest or "student"
        return _read(canonical(given), path(name), f"embedded/{name}")
    source = rest if kind == "hf" else given
    if not source and kind == "hf":
        raise StepvizError("hf: alone names no model: a hub id (hf:OWNER/NAME) or a folder (hf:/path/to/it) follows it")
    if not source:
        raise StepvizError("no base model is given: embedded:base, a folder or a hub id")
    folder = _folder(source)
    if folder.is_dir():
        return _read(f"hf:{folder.absolute()}", folder.absolute(), folder.resolve().name)
    if folder.is_absolute() or source.startswith((".", "~")) or not _HUB_ID.fullmatch(source):
        raise StepvizError(f"there is no model {given!r}: give embedded:NAME, a folder or a hub id (OWNER/NAME)")
    cached = _cached(source)
    if cached is not None:
        return Checkpoint(f"hf:{source}", source, source, cached, _config(cached))
    if "/" not in source:
        raise StepvizError(
            f"there is no folder {source!r} here, and no model of this name on this machine: "
            "give embedded:NAME, a folder or a hub id (OWNER/NAME)"
        )
    return Checkpoint(f"hf:{source}", source, source, None)


def _folder(source: str) -> Path:
    try:
        folder = Path(source).expanduser()
        folder.stat()
    except FileNotFoundError:
        pass
    except (RuntimeError, OSError, ValueError) as error:  # no such user, a name too long, a NUL
        raise StepvizError(f"{source[:80]!r} cannot be a folder or a hub id: {error}") from None
    return folder


def tokenizer_file(found: Checkpoint) -> Path | None:
    path = found.folder / "tokenizer.json" if found.folder else None
    return path if path and path.is_file() else None


def _read(spec: str, folder: Path, name: str) -> Checkpoint:
    config = _config(folder)
    if not _weights(folder):
        raise StepvizError(f"{folder} has no .safetensors: save the model with save_pretrained, pickles are not read")
    return Checkpoint(spec, str(folder), name, folder, config)


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StepvizError(f"{folder} is no checkpoint: it has no readable config.json") from None
    return config if isinstance(config, dict) else {}


def _cached(hub_id: str) -> Path | None:
    """The snapshot of a hub id that is on this machine already."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(hub_id, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def _weights(folder: Path) -> dict[str, int]:
    """Numbers in each tensor file. StepvizError for one that was cut off."""
    return {path.name: _count(path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.safetensors"))}


def _fetched(folder: Path) -> bool:
    """Whether the weights of a hub's snapshot are here, all of them where there are several files."""
    listed = _json(folder / "model.safetensors.index.json").get("weight_map")
    names = set(map(str, listed.values())) if isinstance(listed, dict) else {"model.safetensors"}
    return all((folder / name).is_file() for name in names)


@lru_cache(maxsize=256)
def _count(path: Path, _stamp: int) -> int:
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, _LONGEST_HEADER)))
        tensors = [t for name, t in header.items() if name != "__metadata__"]
        whole = 8 + size + max((t["data_offsets"][1] for t in tensors), default=0) == path.stat().st_size
        count = sum(math.prod(t["shape"]) for t in tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        whole, count = False, 0
    if not whole:
        raise StepvizError(f"{path} is broken or cut off: save or download the model again")
    return count


def _tokenizer_stamp(folder: Path) -> int:
    """Changes with the tokenizer's files; 0: there are none."""
    names = ("tokenizer.json", "added_tokens.json", "tokenizer_config.json")
    return sum((folder / n).stat().st_mtime_ns for n in names if (folder / n).is_file())


@lru_cache(maxsize=32)
def _tokens(folder: Path, _stamp: int) -> frozenset[str]:
    """Every token that the tokenizer's files name."""
    found: set[str] = set()
    whole, added, settings = (_json(folder / f"{n}.json") for n in ("tokenizer", "added_tokens", "tokenizer_config"))
    found |= {str(t.get("content")) for t in whole.get("added_tokens", ()) if isinstance(t, dict)}
    vocabulary = whole.get("model", {}).get("vocab", {}) if isinstance(whole.get("model"), dict) else {}
    found |= set(vocabulary) if isinstance(vocabulary, dict) else {str(pair[0]) for pair in vocabulary if pair}
    found |= set(map(str, added))
    decoder = settings.get("added_tokens_decoder")
    found |= {str(t.get("content")) for t in decoder.values() if isinstance(t, dict)} if decoder else set()
    return frozenset(found)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
