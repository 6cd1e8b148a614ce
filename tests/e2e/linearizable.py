"""Whether a history of one register can have happened in one order that respects real time: the search of Wing and
Gong as Lowe refined it (a set of operations done and a value are never tried twice). Keys are independent of each
other, so a history of many is judged key by key."""

import dataclasses

NEVER = float("inf")


@dataclasses.dataclass
class Op:
    """One command of one client. `ended` is NEVER and `result` None where the outcome is unknown: it may take effect at
    any time after `began`, or never. What certainly didn't happen isn't in a history."""
    kind: str  # get, set, delete, cas
    began: float
    ended: float = NEVER
    value: object = None  # set: the new value; cas: too
    old: object = None  # cas
    result: object = None  # get: the value seen; cas: True or False; the others: True
    client: object = None


def step(value, op):
    """(whether the outcome fits a register that holds `value`, what it holds afterwards)."""
    if op.kind == "get":
        return op.result == value, value
    if op.kind == "set":
        return True, op.value
    if op.kind == "delete":
        return True, None
    matches = value == op.old
    if op.ended == NEVER:
        return True, op.value if matches else value
    return op.result == matches, op.value if matches else value


class _Event:
    """A beginning or an end of an operation, in a list from which both can be taken and put back."""
    __slots__ = ("op", "number", "end", "before", "after")

    def __init__(self, op, number, end):
        self.op, self.number, self.end = op, number, end
        self.before = self.after = None

    def unlink(self):
        self.before.after = self.after
        if self.after is not None:
            self.after.before = self.before

    def relink(self):
        self.before.after = self
        if self.after is not None:
            self.after.before = self


def _events(history):
    """The list's head. An end of a pair has `end` None; of two events at one time the beginning comes first."""
    marks = []
    for number, op in enumerate(history):
        last = _Event(op, number, None)
        marks.append((op.began, 0, number, _Event(op, number, last)))
        marks.append((op.ended, 1, number, last))
    marks.sort(key=lambda mark: mark[:3])
    head = at = _Event(None, -1, None)
    for mark in marks:
        at.after, mark[3].before = mark[3], at
        at = mark[3]
    return head


def linearizable(history, value=None, steps_max=20_000_000):
    """True or False for the operations of one key, which begins with `value`. An unknown one that never took effect
    stands behind all others. ValueError: more than `steps_max` steps, so that nothing is proven."""
    head = _events(history)
    done, tried, stack = 0, set(), []
    event = head.after
    for _ in range(steps_max):
        if head.after is None:
            return True
        if event.end is not None:
            fits, then = step(value, event.op)
            key = (done | 1 << event.number, then)
            if fits and key not in tried:
                tried.add(key)
                stack.append((event, value, done))
                done, value = key
                event.unlink()
                event.end.unlink()
                event = head.after
            else:
                event = event.after
        elif not stack:
            return False
        else:
            # An end of what isn't done yet: something before was chosen wrongly.
            event, value, done = stack.pop()
            event.end.relink()
            event.relink()
            event = event.after
    raise ValueError(f"{len(history)} operations: undecided after {steps_max} steps")


def first_contradiction(history):
    """The shortest beginning of the history (by ends) that can't have happened, for people: its operations as text."""
    ends = sorted(op.ended for op in history if op.ended != NEVER)

    def cut(end):
        kept = [op for op in history if op.began <= end]
        return [op if op.ended <= end else dataclasses.replace(op, ended=NEVER, result=None) for op in kept
                if op.ended <= end or op.kind != "get"]

    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if linearizable(cut(ends[middle])):
            low = middle + 1
        else:
            high = middle
    return "\n".join(map(str, sorted(cut(ends[low]), key=lambda op: op.began)[-25:]))
