"""The students' tokenizer: a fast byte-level BPE of about a thousand tokens.

Lossless on any UTF-8; digits and newlines stand apart, so encode(a + b) = encode(a) + encode(b) where a ends
in a newline (a step border). `[BAD]`, a step tag and sixteen spares are there from the start, so that no method
ever has to resize an embedding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS, BAD, STEP = "<pad>", "<s>", "</s>", "[BAD]", "<step>"
SPECIAL = (PAD, BOS, EOS, BAD, STEP, *(f"<spare_{i}>" for i in range(16)))
VOCABULARY = 1024
_PIECES = r"\n|\d|'s| ?\p{L}+| ?[^\s\p{L}\d']+| ?'|\s"


def train_tokenizer(corpus: Iterable[str], vocabulary: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """Learns the merges from `corpus`; every run on the same texts gives the same tokenizer."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(t, special=True, normalized=False) for t in SPECIAL]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )
