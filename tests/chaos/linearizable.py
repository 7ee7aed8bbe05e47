# SPDX-License-Identifier: MPL-2.0
"""Is the history of a register linearizable? Wing and Gong's search with Lowe's memory of what was tried, as in
porcupine. Kept apart from the code that it judges: it knows operations and times, nothing of Adrestia."""

INFINITY = float("inf")


class Operation:
    """kind: put (value), get (value read), cas (expected -> value, `done` False: it failed), delete.
    end INFINITY: the outcome is unknown; it may take effect at any time after its start, or never."""

    __slots__ = ("kind", "start", "end", "value", "expected", "done")

    def __init__(self, kind, start, end, value=None, expected=None, done=True):
        self.kind, self.start, self.end = kind, start, end
        self.value, self.expected, self.done = value, expected, done

    def __repr__(self):
        what = {"put": f"put {self.value}", "get": f"get -> {self.value}", "delete": "delete",
                "cas": f"cas {self.expected} -> {self.value}" + ("" if self.done else " (failed)")}[self.kind]
        end = "?" if self.end == INFINITY else f"{self.end / 1e6:.3f}"
        return f"[{self.start / 1e6:.3f}, {end}] {what}"

    def step(self, state):
        """(possible, next state)."""
        if self.kind == "put":
            return True, self.value
        if self.kind == "delete":
            return True, None
        if self.kind == "get":
            return state == self.value, state
        if self.end == INFINITY:
            return True, self.value if state == self.expected else state
        matches = state == self.expected
        return matches == self.done, self.value if matches else state


class _Node:
    __slots__ = ("operation", "number", "match", "previous", "next")

    def __init__(self, operation, number, match):
        self.operation, self.number, self.match = operation, number, match
        self.previous = self.next = None


def _build(operations):
    """Calls and returns in the order of time, as a doubly linked list with a head; a call's `match` is its return."""
    events = []
    for number, operation in enumerate(operations):
        back = _Node(operation, number, None)
        call = _Node(operation, number, back)
        # At one and the same time calls stand before returns: what merely touches counts as concurrent.
        events.append(((operation.start, 0, number), call))
        events.append(((operation.end, 1, number), back))
    events.sort(key=lambda event: event[0])
    head = last = _Node(None, -1, None)
    for _, node in events:
        last.next, node.previous = node, last
        last = node
    return head


def _lift(call):
    call.previous.next = call.next
    if call.next:
        call.next.previous = call.previous
    back = call.match
    back.previous.next = back.next
    if back.next:
        back.next.previous = back.previous


def _unlift(call):
    back = call.match
    back.previous.next = back
    if back.next:
        back.next.previous = back
    call.previous.next = call
    if call.next:
        call.next.previous = call


def _search(operations, limit):
    head = _build(operations)
    state, done, tried, path = None, 0, set(), []
    node, steps = head.next, 0
    while head.next:
        steps += 1
        if steps > limit:
            return None
        if node.match is not None:  # a call
            possible, after = node.operation.step(state)
            key = (done | 1 << node.number, after)
            if not possible or key in tried:
                node = node.next
                continue
            tried.add(key)
            path.append((node, state))
            done, state = key
            _lift(node)
            node = head.next
        elif path:  # a return that should have been linearized before: one step back
            call, state = path.pop()
            done &= ~(1 << call.number)
            _unlift(call)
            node = call.next
        else:
            return False
    return True


def check(operations, limit=3_000_000):
    """True, False, or None if the search was given up after `limit` steps. The register starts empty (None)."""
    seen = {operation.value for operation in operations if operation.kind == "get"}
    seen |= {operation.expected for operation in operations if operation.kind == "cas"}
    # What ended unknown and was never seen may be thought away; only if that fails it is tried with them.
    likely = [operation for operation in operations
              if operation.end != INFINITY or operation.kind != "delete" and operation.value in seen]
    answer = _search(likely, limit)
    if answer is not True and len(likely) < len(operations):
        # A cas that failed may have lost against one of them, a read of nothing may have followed a delete.
        answer = _search(list(operations), limit)
    return answer
