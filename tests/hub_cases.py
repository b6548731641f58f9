"""A made-up cache of the hub: models that are on this machine under a hub id, or of which only the config is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# config.json of Qwen2.5-Math-7B, as published: 7,615,616,512 parameters ("7.61B" on its card)
QWEN_7B = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "max_position_embeddings": 4096,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 152064,
}
QWEN_7B_PARAMETERS = 7_615_616_512


class Hub:
    """The cache in a folder, and no network."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def put(self, hub_id: str, model: Path, commit: str = COMMIT) -> Path:
        """A model's files under this id, laid out as the hub's client does; its snapshot."""
        snapshot = self._snapshot(hub_id, commit)
        shutil.copytree(model, snapshot, dirs_exist_ok=True)
        return snapshot

    def put_config(self, hub_id: str, config: dict[str, object], commit: str = COMMIT) -> Path:
        """What is there before the weights are."""
        snapshot = self._snapshot(hub_id, commit)
        (snapshot / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return snapshot

    def _snapshot(self, hub_id: str, commit: str) -> Path:
        repository = self.folder / f"models--{hub_id.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text(commit, encoding="utf-8")
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        return snapshot


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(tmp_path / "hub", monkeypatch)
