#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""The checker is checked: against every order, on small random histories, and on known good and bad ones."""

import itertools
import random
import sys

sys.dont_write_bytecode = True
from linearizable import INFINITY, Operation, check  # noqa: E402 # pylint: disable=wrong-import-position


def by_brute_force(operations):
    must = [one for one in operations if one.end != INFINITY]
    may = [one for one in operations if one.end == INFINITY]
    for count in range(len(may) + 1):
        for chosen in itertools.combinations(may, count):
            for order in itertools.permutations(must + list(chosen)):
                if any(order[j].end < order[i].start for i in range(len(order)) for j in range(i + 1, len(order))):
                    continue
                state = None
                for one in order:
                    possible, state = one.step(state)
                    if not possible:
                        break
                else:
                    return True
    return False


def random_history(dice):
    operations, values = [], [None]
    for number in range(dice.randint(1, 6)):
        start = dice.randint(0, 12)
        end = INFINITY if dice.random() < 0.2 else start + dice.randint(0, 6)
        kind = dice.choice(["put", "put", "get", "cas", "delete"])
        if kind == "get":
            operations.append(Operation("get", start, start + 3, dice.choice(values)))
        elif kind == "cas":
            operations.append(Operation("cas", start, end, number, dice.choice(values), dice.random() < 0.5))
            values.append(number)
        else:
            operations.append(Operation(kind, start, end, number if kind == "put" else None))
            values.append(number if kind == "put" else None)
    return operations


KNOWN = [
    (True, [Operation("put", 0, 1, "a"), Operation("get", 2, 3, "a")]),
    (False, [Operation("put", 0, 1, "a"), Operation("get", 2, 3, None)]),
    (False, [Operation("put", 0, 1, "a"), Operation("put", 2, 3, "b"), Operation("get", 4, 5, "a")]),
    (True, [Operation("put", 0, INFINITY, "a"), Operation("get", 2, 3, None), Operation("get", 4, 5, "a")]),
    (False, [Operation("put", 0, INFINITY, "a"), Operation("get", 2, 3, "a"), Operation("get", 4, 5, None)]),
    (False, [Operation("get", 0, 1, "never written")]),
    (False, [Operation("cas", 0, 1, "a", None), Operation("cas", 2, 3, "b", None)]),
    (True, [Operation("put", 0, INFINITY, "a"), Operation("cas", 2, 3, "b", None, False)]),
]


def main():
    passed = failed = 0
    dice = random.Random(1)
    cases = KNOWN + [(by_brute_force(history), history) for history in (random_history(dice) for _ in range(3000))]
    for expected, history in cases:
        if check(history) == expected:
            passed += 1
        else:
            failed += 1
            print(f"expected {expected}:", *history, sep="\n  ")
    print(f"{sum(1 for expected, _ in cases if not expected)} of {len(cases)} histories are not linearizable")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
