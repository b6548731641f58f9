"""Counts templates as the generator makes them unthinned, and writes the table in thinning.py anew.

    python -m stepviz.world.recount --write

Needed after any change to the world; raise WORLD in generator.py with it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from stepviz.world import generator, thinning

COUNTED = {"text": 12_000, "test": 5_000, "dev": 4_000}  # problems of each split
COMMON = 0.005  # a template above this share of a split's problems of three or more steps is kept less often
SHARD = 250


def _templates(shard: tuple[str, int]) -> list[str]:
    split, start = shard
    thinning.KEPT.clear()  # this process counts what comes without thinning
    made = (generator.problem(split, i) for i in range(start, start + SHARD))
    return [p.meta["template"] for p in made if p.meta["steps"] >= 3]


def kept(processes: int = 2) -> dict[str, float]:
    """Template → share of its problems that is kept, for the common ones of every split."""
    table: dict[str, float] = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for split, count in COUNTED.items():
            shards = [(split, start) for start in range(0, count, SHARD)]
            seen = Counter(t for found in pool.map(_templates, shards) for t in found)
            total = seen.total()
            table |= {t: round(COMMON / (n / total), 3) for t, n in seen.items() if n / total > COMMON}
            commonest = seen.most_common(1)[0][1] / total
            print(f"{split}: {len(seen)} templates in {total} problems, the commonest in {commonest:.2%}", flush=True)
    return table


def write(table: dict[str, float], path: Path = Path(thinning.__file__)) -> None:
    text = path.read_text(encoding="utf-8")
    pairs = [f'"{template}": {share},' for template, share in sorted(table.items())]
    rows = ["    " + " ".join(pairs[i : i + 4]) for i in range(0, len(pairs), 4)]
    head = text[: text.index("# fmt: off")]
    body = "\n".join(["# fmt: off", "KEPT: dict[str, float] = {", *rows, "}", "# fmt: on", ""])
    path.write_text(head + body, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="replace the table in thinning.py")
    made = kept()
    print(f"{len(made)} templates to thin")
    if parser.parse_args().write:
        write(made)
