"""Tiny step reward models with random weights, as ordinary checkpoints, one of each architecture that is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.tiny import byte_tokenizer

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
WIDE = SIZES | {"hidden_size": 128, "head_dim": 32}  # vLLM's attention on a CPU reads no narrower heads
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def lines(folder: Path, labels: int = 2, seed: int = 0, sizes: Mapping[str, int] = SIZES, **noted: str) -> Path:
    """LlamaForTokenClassification; `noted` is what a trainer of ours would note in the config."""
    from transformers import LlamaConfig, LlamaForTokenClassification

    tokenizer = byte_tokenizer()
    config = LlamaConfig(vocab_size=len(tokenizer), num_labels=labels, **sizes)
    if noted:
        config.step_scores = noted
    return _save(LlamaForTokenClassification, config, tokenizer, folder, seed)


def encoder_only(folder: Path, heads: int = 4) -> Path:
    """A BERT with the same kind of head: it reads both ways."""
    from transformers import BertConfig, BertForTokenClassification

    tokenizer = byte_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=heads
    )
    return _save(BertForTokenClassification, config, tokenizer, folder, 0)


def qwen_prm(
    folder: Path, own_head: bool = True, separator: bool = True, seed: int = 0, sizes: Mapping[str, int] = SIZES
) -> Path:
    """With `own_head` what the published models say of themselves, and their names of weights; else the stock head."""
    import json

    import torch
    from safetensors.torch import load_file, save_file
    from transformers import Qwen2Config, Qwen2ForTokenClassification

    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    if separator:
        tokenizer.add_special_tokens({"additional_special_tokens": ["<extra_0>"]})
    tokenizer.chat_template = CHAT
    _save(Qwen2ForTokenClassification, Qwen2Config(vocab_size=len(tokenizer), **sizes), tokenizer, folder, seed)
    if own_head:
        config = json.loads((folder / "config.json").read_text())
        theirs = {"AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig", "AutoModel": "modeling_qwen2_rm.Qwen2RM"}
        config |= {"architectures": ["Qwen2ForProcessRewardModel"], "auto_map": theirs}
        (folder / "config.json").write_text(json.dumps(config))
        for place in theirs.values():
            (folder / f"{place.split('.')[0]}.py").write_text("raise SystemExit('code of the checkpoint was run')")
        weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith("score.")}
        generator = torch.Generator().manual_seed(seed)
        h = sizes["hidden_size"]
        shapes = {"score.0.weight": (h, h), "score.0.bias": (h,), "score.2.weight": (2, h), "score.2.bias": (2,)}
        narrower = (SIZES["hidden_size"] / h) ** 2  # else a wide head would be certain of everything
        weights |= {name: torch.randn(shape, generator=generator) * narrower for name, shape in shapes.items()}
        weights["lm_head.weight"] = torch.randn((len(tokenizer), h), generator=generator)  # carried, never used
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def shepherd(
    folder: Path, tag: bool = True, seed: int = 0, prepend: str = "", sizes: Mapping[str, int] = SIZES
) -> Path:
    """MistralForCausalLM with the step tag as a token; `prepend`: of a metaspace_tokenizer, else a byte-level one."""
    from transformers import MistralConfig, MistralForCausalLM

    tokenizer = metaspace_tokenizer(prepend) if prepend else byte_tokenizer()
    if tag and not prepend:
        tokenizer.add_tokens(["ки"])
    return _save(MistralForCausalLM, MistralConfig(vocab_size=len(tokenizer), **sizes), tokenizer, folder, seed)


def metaspace_tokenizer(prepend: str) -> Any:
    """As Llama 2 and Mistral have it: "▁" for a space, bytes for what is not known, the tag an ordinary entry.

    prepend: whether a text begins with a "▁" of its own ("always", "first") or not ("never").
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    merges = [("к", "и"), ("▁", "к"), ("▁", "+"), ("▁", "-"), ("▁", "S"), ("t", "e"), ("te", "p"), ("▁S", "tep")]
    characters = [*"▁ки+-0123456789=#:.,?Satepoms"]
    entries = [
        "<s>",
        "</s>",
        "<unk>",
        *(f"<0x{i:02X}>" for i in range(256)),
        *characters,
        *("".join(m) for m in merges),
    ]
    vocab = {entry: i for i, entry in enumerate(dict.fromkeys(entries))}
    raw = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=prepend, split=False)
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _save(kind: Any, config: Any, tokenizer: Any, folder: Path, seed: int) -> Path:
    import torch

    torch.manual_seed(seed)
    model = kind(config)
    with torch.no_grad():  # larger than a trainer would start with, so that scores differ from one step to the next
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
