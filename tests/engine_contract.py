"""What every engine promises (stepviz.engines.base): one suite, run for each kind by a class that has an `engine`.

It knows nothing of the model but its tokenizer; a class may say how far its engine can keep a promise.
"""

from __future__ import annotations

import pytest

from stepviz.engines import Engine
from stepviz.engines.prompts import encode
from stepviz.types import Completion, PromptStyle, Request, Sampling

QUESTIONS = ("Tom has 3 apples and buys 12 more. How many apples?", "A box holds 8 muffins.", "After how many days?")
STEPS = ("3+12=15\n", "Ana eats 2 a day.\n", "8/2=4 days\n\n")


def requests_of(seeds: int) -> list[Request]:
    """Every prefix of the same three steps, for three questions, several seeds each."""
    prefixes = ["".join(STEPS[:i]) for i in range(4)]
    return [Request(q, p, 1000 * i + s) for i, q in enumerate(QUESTIONS) for p in prefixes for s in range(seeds)]


def ids_of(engine: Engine, request: Request) -> tuple[int, ...]:
    return encode(engine.tokenizer, PromptStyle(), request.question, request.prefix)


def alike(one: list[Completion], other: list[Completion]) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


class EngineContract:
    same = (
        1.0  # share of draws that a batch leaves as they were: numbers of other batches may differ in their last bits
    )
    seeds = 6

    def test_a_completion_says_all_of_itself(self, engine: Engine) -> None:
        for request, done in zip(requests_of(1), engine.generate(requests_of(1), Sampling(max_tokens=12)), strict=True):
            assert done.finish_reason in ("stop", "length")
            assert done.error is None
            assert 1 <= done.tokens == len(done.token_ids) <= 12
            assert (done.tokens == 12) or done.finish_reason == "stop"
            assert done.prompt_tokens == len(ids_of(engine, request))

    def test_a_draw_depends_on_its_seed_and_not_on_its_batch(self, engine: Engine) -> None:
        sampling = Sampling(temperature=1.0, max_tokens=30)
        requests = requests_of(self.seeds)
        together = engine.generate(requests, sampling)
        assert len({c.text for c in together}) > len(together) / 2, "other seeds draw otherwise"
        assert alike(engine.generate(requests[::-1], sampling)[::-1], together) >= self.same
        assert alike([engine.generate([r], sampling)[0] for r in requests[::9]], together[::9]) >= self.same

    def test_greedy_needs_no_seed(self, engine: Engine) -> None:
        requests = [Request(QUESTIONS[0], "", seed) for seed in range(5)]
        assert len({c.text for c in engine.generate(requests, Sampling(temperature=0, max_tokens=20))}) == 1

    def test_stop_strings_end_a_row_and_are_left_out(self, engine: Engine) -> None:
        free = engine.generate([Request(QUESTIONS[0], "", 3)], Sampling(max_tokens=60))[0]
        stop = free.text[10:13]
        style = PromptStyle(stop=("never to be written", stop))
        stopped = engine.generate([Request(QUESTIONS[0], "", 3)], Sampling(max_tokens=60, style=style))[0]
        assert stopped.text == free.text[: free.text.index(stop)]
        assert stopped.finish_reason == "stop"
        assert stopped.tokens < free.tokens
        assert free.token_ids[: stopped.tokens] == stopped.token_ids

    def test_text_is_what_the_ids_say(self, engine: Engine) -> None:
        for done in engine.generate(requests_of(2), Sampling(temperature=1.5, max_tokens=25)):
            said = engine.tokenizer.decode(done.token_ids)
            assert said.startswith(done.text)
            assert done.finish_reason == "stop" or said.rstrip("\ufffd") == done.text

    def test_a_prompt_longer_than_the_context_is_an_error_and_harms_no_other(self, engine: Engine) -> None:
        room = 20
        words = engine.context // 2
        while len(ids_of(engine, Request("y " * words))) > engine.context - room:
            words -= 1
        requests = [Request(QUESTIONS[0], "", 1), Request("x " * engine.context, "", 1), Request("y " * words, "", 1)]
        sampling = Sampling(temperature=1.5, max_tokens=60)
        good, long, near = engine.generate(requests, sampling)
        assert alike([good], engine.generate(requests[:1], sampling)) >= self.same - 1 / 2
        assert (long.finish_reason, long.text, long.tokens) == ("error", "", 0)
        assert str(engine.context) in long.error
        assert near.finish_reason == "stop" or near.prompt_tokens + near.tokens == engine.context

    def test_cancel_is_heard_and_keeps_what_is_done(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        _look_always(monkeypatch)
        ended: dict[int, Completion] = {}
        requests = [Request(QUESTIONS[0], "", seed) for seed in range(400)]
        sampling = Sampling(max_tokens=30)
        out = engine.generate(
            requests, sampling, on_completion=lambda i, c: ended.__setitem__(i, c), cancelled=lambda: len(ended) > 20
        )
        finished = [c for c in out if c.finish_reason != "error"]
        assert 20 < len(finished) < 400
        assert {c.error for c in out if c.finish_reason == "error"} == {"cancelled"}
        assert [ended[i] for i in range(400)] == out
        kept = [i for i, c in enumerate(out) if c.finish_reason != "error"][:30]
        assert alike(engine.generate([requests[i] for i in kept], sampling), [out[i] for i in kept]) >= self.same

    def test_a_call_inside_on_batch_disturbs_nothing(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        _look_always(monkeypatch)
        requests, sampling = requests_of(2), Sampling(max_tokens=25)
        alone = engine.generate(requests, sampling)
        inner: list[list[Completion]] = []
        seen: list[tuple[int, int]] = []

        def on_batch(done: int, tokens: int) -> None:
            seen.append((done, tokens))
            if len(seen) % 5 == 2 and len(inner) < 3:
                inner.append(engine.generate(requests[:3], sampling))

        outer = engine.generate(requests, sampling, on_batch=on_batch)
        assert alike(outer, alone) >= self.same
        assert inner
        assert all(alike(one, alone[:3]) >= self.same - 1 / 3 for one in inner)
        assert seen[-1] == (len(requests), sum(c.tokens for c in outer))
        assert seen == sorted(seen)

    def test_an_exception_of_a_caller_leaves_the_engine_whole(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _look_always(monkeypatch)
        requests, sampling = requests_of(1), Sampling(max_tokens=25)
        alone = engine.generate(requests, sampling)

        def on_batch(*_: int) -> None:
            raise KeyError("the store is gone")

        with pytest.raises(KeyError, match="the store is gone"):
            engine.generate(requests, sampling, on_batch=on_batch)
        assert alike(engine.generate(requests, sampling), alone) >= self.same


def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers are let in after every step, where they otherwise wait half a second."""
    monkeypatch.setattr("stepviz.engines.decode.CHUNK_S", 0.0)
    monkeypatch.setattr("stepviz.engines.call.CHUNK_S", 0.0)
