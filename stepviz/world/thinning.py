"""Templates that the generator would hit too often, and the share of them that is kept.

Made by counting 12,000 problems of the text split, 5,000 of test and 4,000 of dev without it: a template seen
in more than 0.5 % of a split's problems of three or more steps is kept with probability 0.5 % over its share.
Part of what WORLD in generator.py stands for.
"""

from __future__ import annotations

# fmt: off
KEPT: dict[str, float] = {
    "0118be3e8986": 0.682, "029be6443ee9": 0.17, "03b36b78f8d9": 0.735, "08f38192a5e5": 0.91,
    "0d4e059de409": 0.876, "1650a3f87620": 0.466, "1a275bca914c": 0.341, "1c151dba388e": 0.424,
    "1d3f1d429ddb": 0.616, "1d9d2d24ee33": 0.313, "1e0cb2816ecf": 0.251, "1ea826ecf2a4": 0.786,
    "1ed8b8ef1039": 0.426, "20fc87d90bc1": 0.503, "23a89c0ccab6": 0.403, "26e784c52299": 0.868,
    "271d8a5ffa34": 0.767, "28de2bdd1742": 0.06, "2941030f8905": 0.197, "29c79ffa034d": 0.546,
    "2c326ac3f25e": 0.958, "36535a8b461a": 0.24, "38548529dffc": 0.799, "393c7d256bcf": 0.902,
    "3b53c466561b": 0.697, "3bbace247dfc": 0.495, "4413e86a8fff": 0.796, "4798844a65b7": 0.83,
    "47996576e56e": 0.958, "4fdba524bcf9": 0.531, "5275b22f21ae": 0.49, "53116598812e": 0.479,
    "54a9b1884dd6": 0.503, "556b8fd43955": 0.579, "582e9912a4d2": 0.93, "5bb1e9724fc4": 0.759,
    "5d5f425e33a9": 0.697, "5d664d54d952": 0.852, "5f2e7a249889": 0.93, "6084487e6b38": 0.447,
    "63f8f4f81f94": 0.91, "652a7daf40f3": 0.052, "6808c7f559eb": 0.382, "7247ec5f0575": 0.451,
    "734ec5dab711": 0.807, "7533f5b29644": 0.955, "7577961ce702": 0.289, "771bff746e76": 0.786,
    "79f72d8d53da": 0.357, "806d00710a6e": 0.807, "806f852d3b76": 0.796, "812e8fe78f6b": 0.277,
    "896d9c07ffe6": 0.616, "8a81e98b547c": 0.616, "8a843645f637": 0.667, "8a98fcc38b1e": 0.613,
    "8ad1a45e7a2a": 0.764, "9385cd92f483": 0.326, "96fd3d58340a": 0.616, "99d663231971": 0.73,
    "9ae67fc56b32": 0.113, "a1a51cbbeff5": 0.347, "a94276c5c096": 0.579, "a9c90029f587": 0.902,
    "aa1c37cf7c04": 0.289, "aabbdd896e81": 0.86, "ab463597772b": 0.902, "ab4adf4da6f2": 0.232,
    "af71bb5f6d3f": 0.723, "b1a838da33da": 0.955, "b1c0f5796c12": 0.949, "b313887f9f30": 0.83,
    "b5462a816c76": 0.434, "b7f366a0ace1": 0.639, "b9e433bd4ce4": 0.393, "baa3db2957f1": 0.796,
    "bbeb5a8434a9": 0.375, "be3470e2aa52": 0.807, "c2e70686fb1c": 0.495, "c5f7a4b5b2bd": 0.503,
    "c8654c5bcba8": 0.639, "c9d8fe22845d": 0.955, "cb85e206467e": 0.958, "cbfc4401d58a": 0.902,
    "cd12c9f4eff3": 0.319, "d1ff74e91d4e": 0.584, "d27f8a19e315": 0.735, "d33759b0840e": 0.91,
    "d4386d2883c5": 0.406, "d491dae7ce35": 0.902, "d7ab5febdfd5": 0.876, "d88f88b1dfd5": 0.47,
    "dbdacb027808": 0.91, "dcfd4f17fc4d": 0.902, "df30ffdb759d": 0.382, "e3e12d2d67f0": 0.902,
    "eb51746f589c": 0.229, "eb864ddd3994": 0.697, "eee062ea3ceb": 0.807, "ef4ad75d2ceb": 0.91,
    "f91d10167f4e": 0.422, "fce386932aaf": 0.893,
}
# fmt: on
