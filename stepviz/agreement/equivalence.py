"""Our grader against public expectations of which answers are equal."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from stepviz import answers


def equivalence_agreement(path: Path) -> dict[str, Any]:
    """Our grader on a file of `{gold, pred, equal, kind}` a line, whose expectations are other graders' own tests.

    Agreement counts "unknown" as a disagreement, whichever way the expectation goes. `differences` names each by its
    line (1-based), with our verdict and reason.
    """
    with path.open(encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines if line.strip()]
    agreed: Counter[str] = Counter()
    differences = []
    for line, case in enumerate(cases, 1):
        result = answers.equal(case["gold"], case["pred"])
        if result.verdict == ("equal" if case["equal"] else "different"):
            agreed[case["kind"]] += 1
        else:
            differences.append(
                {
                    "line": line,
                    "kind": case["kind"],
                    "expected": "equal" if case["equal"] else "different",
                    "verdict": result.verdict,
                    "reason": result.reason,
                }
            )
    kinds = Counter(case["kind"] for case in cases)
    return {
        "n": len(cases),
        "agreed": sum(agreed.values()),
        "agreement": sum(agreed.values()) / len(cases) if cases else 0.0,
        "by_kind": {kind: [agreed[kind], kinds[kind]] for kind in sorted(kinds)},
        "differences": differences,
    }
