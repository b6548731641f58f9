"""Templates that the generator would hit too often, and the share of them that is kept.

Made by `python -m stepviz.world.recount --write`, which counts the splits without it: a template seen
in more than 0.5 % of a split's problems of three or more steps is kept with probability 0.5 % over its share.
Part of what WORLD in generator.py stands for.
"""

from __future__ import annotations

# fmt: off
KEPT: dict[str, float] = {
    "0118be3e8986": 0.588, "029be6443ee9": 0.287, "14c474c9353d": 0.876, "1650a3f87620": 0.739,
    "188785098ada": 0.354, "1a275bca914c": 0.409, "1c151dba388e": 0.79, "1d9d2d24ee33": 0.424,
    "1e0cb2816ecf": 0.368, "1ed8b8ef1039": 0.46, "20fc87d90bc1": 0.849, "23a89c0ccab6": 0.541,
    "26e784c52299": 0.849, "28de2bdd1742": 0.118, "2941030f8905": 0.204, "29c79ffa034d": 0.917,
    "2c326ac3f25e": 0.836, "2e00f049e0e9": 0.575, "34d1764f191a": 0.968, "36535a8b461a": 0.526,
    "3bbace247dfc": 0.634, "3bfa813d7327": 0.509, "413087c81d8b": 0.764, "4413e86a8fff": 0.849,
    "4fdba524bcf9": 0.694, "5275b22f21ae": 0.794, "53116598812e": 0.92, "54a9b1884dd6": 0.458,
    "556b8fd43955": 0.764, "5d0fbfd134ce": 0.526, "6084487e6b38": 0.843, "63f8f4f81f94": 0.818,
    "652a7daf40f3": 0.103, "6808c7f559eb": 0.674, "7247ec5f0575": 0.885, "7533f5b29644": 0.655,
    "7577961ce702": 0.297, "806f852d3b76": 0.881, "812e8fe78f6b": 0.477, "8a81e98b547c": 0.739,
    "9385cd92f483": 0.681, "96fd3d58340a": 0.674, "9a4ef5be47b6": 0.694, "9ae67fc56b32": 0.224,
    "9db88fd9bb24": 0.438, "a0cee4072ec8": 0.881, "a1a51cbbeff5": 0.588, "aa1c37cf7c04": 0.575,
    "aa75965dfe33": 0.533, "ab463597772b": 0.968, "ab4adf4da6f2": 0.449, "b0f0ba8f7e9b": 0.603,
    "b5462a816c76": 0.764, "b666d35e0adc": 0.526, "b9e433bd4ce4": 0.613, "bbeb5a8434a9": 0.79,
    "c2c48ed6b1b6": 0.766, "c2e70686fb1c": 0.708, "c5f7a4b5b2bd": 0.955, "cb85e206467e": 0.8,
    "cd12c9f4eff3": 0.766, "ceda7ce68852": 0.8, "d4386d2883c5": 0.498, "d491dae7ce35": 0.92,
    "d88f88b1dfd5": 0.964, "df30ffdb759d": 0.637, "df94da56e34a": 0.92, "eb51746f589c": 0.557,
}
# fmt: on
