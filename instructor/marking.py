"""What hidden cells call: `emit` sends values out of the student's process, `award` and `close` judge them outside.

The solution and nbgrader notebooks carry the source of this module's functions, so they use nothing but numpy.
"""

import numpy as np


def plain(value):
    """Return `value` as a number, string, bool, None, an array of these, or a list of them; else a TypeError."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    array = np.asarray(value)
    if array.dtype.kind not in "biufcU":
        raise TypeError(f"a {type(value).__name__} cannot be graded; return numbers, arrays, strings or lists of them")
    return array if array.ndim else array.item()


def close(found, expected, rtol=1e-6, atol=1e-9):
    """Return whether `found` has the shape of `expected`, is finite where that is, and agrees within the tolerance."""
    try:
        found, expected = np.asarray(found), np.asarray(expected)
        return found.shape == expected.shape and bool(np.allclose(found, expected, rtol=rtol, atol=atol))
    except (TypeError, ValueError):
        return False


def judge(check, names, points):
    """Run the text of a check with `names`; return the points and what to tell the student, at most `points`."""
    won, remarks = [], []

    def award(worth, condition, message):
        # An array has no truth value: a condition that is not one number fails.
        if np.ndim(condition) == 0 and bool(condition):
            won.append(worth)
        else:
            remarks.append(str(message)[:500])

    try:
        exec(check, {**names, "award": award, "close": close})
    except Exception as problem:
        remarks.append(f"your answer could not be read ({type(problem).__name__}); compare its type and shape")
    return min(sum(won), points), remarks


def grade(question, points, probe, check):
    """Run a hidden check in this kernel: return part of the points as a number, None for all of them, else raise."""
    import contextlib
    import io

    emitted = {}
    names = dict(globals())

    def emit(**values):
        for name, value in values.items():
            try:
                emitted[name] = plain(value)
            except TypeError as problem:
                print(problem)

    names["emit"] = emit
    # nbgrader gives nothing for a cell that writes to the standard error, and a warning is no mistake.
    with contextlib.redirect_stderr(io.StringIO()):
        exec(probe, names)
        score, remarks = judge(check, {**names, **emitted}, points)
    print(f"{question}: {score:g} of {points:g} points", *remarks, sep="\n")
    if score <= 0:
        raise AssertionError("; ".join(remarks))
    return float(score) if score < points else None
