"""Engines: what continues a prefix. `load` takes a spec, a string that a command or a form can hold."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from stepviz.engines.base import Engine
from stepviz.engines.server import FORM, served
from stepviz.errors import StepvizError

SPECS = f"embedded, embedded:NAME, hf:ID_OR_PATH, vllm:ID_OR_PATH, {FORM}"


def canonical(spec: str) -> str:
    """One spelling of a spec, the same from any directory: "embedded:student" is "embedded", a folder is absolute, a
    server's URL ends without a slash.

    For scorers' specs too (stepviz.reward.specs); whether there is such an engine or scorer is not asked here.
    """
    kind, _, rest = spec.partition(":")
    if kind == "embedded":
        return "embedded" if rest in ("", "student") else spec
    if kind == "vllm" and (rest == "embedded" or ":" in rest):
        return f"vllm:{canonical(rest)}"
    if kind == "openai":
        with contextlib.suppress(StepvizError):  # who loads it says what is wrong
            return served(spec).spec
        return spec
    return f"{kind}:{Path(rest).absolute()}" if rest and Path(rest).exists() else spec


def is_causal(architectures: Sequence[str] | None) -> bool | None:
    """Whether a config's `architectures` are of a language model, and not of a classifier; None: they do not say.

    A ConditionalGeneration may be either kind of model: one that reads pictures too is loaded as a language model.
    """
    names = [str(name) for name in architectures or ()]
    if any(name.endswith("LMHeadModel") or "CausalLM" in name for name in names):
        return True
    return False if names and not any("ConditionalGeneration" in name for name in names) else None


def load(spec: str, device: str | None = None, tokenizer: str | None = None) -> Engine:
    """The engine of a spec; StepvizError where the spec is unknown or its model cannot be loaded.

    `device`: "cpu", "cuda", "cuda:1"; by default cuda where there is one. `tokenizer`: a hub id or a folder,
    where the model does not bring its own.
    """
    kind, _, rest = spec.partition(":")
    if kind == "vllm" and rest:
        from stepviz.engines.vllm import VllmEngine

        return VllmEngine(spec, *_place(rest), device, tokenizer)
    if kind == "openai" and rest:
        from stepviz.engines.openai import OpenAIEngine

        return OpenAIEngine(spec, tokenizer)
    if kind == "embedded" or (kind == "hf" and rest):
        from stepviz.engines.transformers import TransformersEngine

        return TransformersEngine(spec, *_place(spec if kind == "embedded" else rest), device, tokenizer)
    raise StepvizError(f"unknown engine {spec!r}; supported: {SPECS}")


def _place(given: str) -> tuple[str, str]:
    """Folder or hub id, and what the model is called."""
    kind, _, name = given.partition(":")
    if kind == "embedded":
        from stepviz.embedded import path

        return str(path(name or "student")), f"embedded/{name or 'student'}"
    return given, Path(given).resolve().name if Path(given).is_dir() else given


__all__ = ["SPECS", "Engine", "canonical", "load"]
