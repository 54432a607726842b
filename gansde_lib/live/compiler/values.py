"""How one entry of an array is computed: `value.at(index)` returns a C expression, and writes what it needs first."""

import itertools
import math

from . import primitives
from .indices import Index, ravel
from .writer import Expression, NotFusable

LONGEST_EXPRESSION = 90  # characters of C before an intermediate result gets a name


class Local:
    """A small array whose entries are C variables or literals, one for each index."""

    def __init__(self, writer, shape, entries, nest=None):
        self.writer, self.shape, self.entries, self.nest = writer, shape, entries, nest

    def at(self, index):
        """An entry; where the index is only known at run time, a choice between all entries."""
        if self.nest is not None and self.nest is self.writer.nest:
            raise NotFusable  # a sum that the open loop has not finished
        if not any(i.terms for i in index):
            return self.entries[tuple(i.constant for i in index)]
        flat, entries = ravel(index, self.shape), [self.entries[key] for key in sorted(self.entries)]
        text = entries[-1].text
        for k in reversed(range(len(entries) - 1)):
            text = f"{flat.text} == {k} ? {entries[k].text} : {text}"
        return Expression(f"({text})", max(flat.depth, *(e.depth for e in entries)), False)


class Stored:
    """An array in a buffer, written at scope `depth`."""

    def __init__(self, writer, buffer, depth, place=tuple):
        self.writer, self.buffer, self.depth, self.place = writer, buffer, depth, place

    def at(self, index):
        """Load an entry, unless the loop that is being written has it at hand."""
        return self.writer.load(self.buffer, self.place(index), self.depth)


class View:
    """Another value, read at another index."""

    def __init__(self, value, place):
        self.value, self.place = value, place

    def at(self, index):
        """An entry of the other value."""
        return self.value.at(self.place(index))


class Lazy:
    """The result of an operation, computed where it is read."""

    def __init__(self, writer, equation, operands, reused, position=0):
        self.writer, self.equation, self.operands = writer, equation, operands
        self.reused, self.position = reused, position

    @property
    def hint(self):
        """What a C variable for it is named after: the operation that computes it."""
        viewed = self.operands[0] if self.equation.op in primitives.VIEWS else None
        return viewed.hint if isinstance(viewed, Lazy) else self.equation.op

    def at(self, index):
        """Compute an entry, once in each place."""
        key = (self, tuple(index))
        known = self.writer.recall(key)
        if known is None:
            compute = COMPUTE.get(self.equation.op, _elementwise)
            known = compute(self.writer, self, tuple(index))
            if not known.atomic and (self.reused or len(known.text) > LONGEST_EXPRESSION):
                known = self.writer.declare(self.equation.outputs[self.position].dtype, self.hint, known)
            self.writer.remember(key, known)
        return known


def _elementwise(writer, lazy, index):
    def entry(operand, variable):
        return operand.at(tuple(Index() if n == 1 else i for i, n in zip(index, variable.shape, strict=False)))

    entries = [entry(x, v) for x, v in zip(lazy.operands, lazy.equation.inputs, strict=True)]
    depth = max(e.depth for e in entries)
    pairs = zip(entries, lazy.equation.inputs, strict=True)
    texts = [writer.settle(e, v.dtype, depth).text for e, v in pairs]
    return Expression(primitives.elementwise(lazy.equation, texts), depth, False)


def _view(writer, lazy, index):
    return lazy.operands[0].at(primitives.view(lazy.equation)(index))


def _threefry(writer, lazy, index):
    key = (lazy.equation.outputs[0], index)  # both words come from one call
    words = writer.recall(key)
    if words is None:
        call = _elementwise(writer, lazy, index)
        words = writer.declare("Words", "words", Expression(call.text, call.depth, False))
        writer.remember(key, words)
    return Expression(f"{words.text}.{('first', 'second')[lazy.position]}", words.depth, True)


def _iota(writer, lazy, index):
    params = lazy.equation.params
    i = index[params["dimension"]]
    c_type = primitives.C_TYPES[lazy.equation.outputs[0].dtype]
    if not i.terms:
        return Expression(primitives.literal(lazy.equation.outputs[0].dtype.type(i.constant)), 0, True)
    return Expression(f"({c_type}){i.text if i.text.isidentifier() else f'({i.text})'}", i.depth, False)


def _concatenate(writer, lazy, index):
    axis = lazy.equation.params["dimension"]
    sizes = [variable.shape[axis] for variable in lazy.equation.inputs]
    result = None
    for k, (operand, size) in enumerate(zip(lazy.operands, sizes, strict=True)):
        start = sum(sizes[:k])
        inner = index[axis] + -start
        low, high = inner.bounds
        if high < 0 or low >= size:
            continue
        inner = writer.clamp_index(inner, size - 1)  # evaluated even where another part is chosen
        entry = operand.at((*index[:axis], inner, *index[axis + 1 :]))
        result = entry if result is None else _choice([f"{index[axis].text} >= {start}"], entry, result, inner.depth)
    return result


def _pad(writer, lazy, index):
    inner, tests, depth = [], [], 0
    sides = lazy.equation.params["padding_config"]
    for i, n, (low, _, _) in zip(index, lazy.equation.inputs[0].shape, sides, strict=True):
        moved = i + -int(low)
        first, last = moved.bounds
        if first >= n or last < 0:
            return lazy.operands[1].at(())
        tests += [f"{moved.text} >= 0"] if first < 0 else []
        tests += [f"{moved.text} < {n}"] if last >= n else []
        depth = max(depth, moved.depth)
        inner.append(writer.clamp_index(moved, n - 1))
    return _choice(tests, lazy.operands[0].at(tuple(inner)), lazy.operands[1].at(()), depth)


def _choice(tests, inside, outside, depth):
    if not tests:
        return inside
    text = f"({' && '.join(tests)} ? {inside.text} : {outside.text})"
    return Expression(text, max(depth, inside.depth, outside.depth), False)


def _dynamic_slice(writer, lazy, index):
    operand, *starts = lazy.operands
    shapes = zip(lazy.equation.inputs[0].shape, lazy.equation.outputs[0].shape, strict=True)
    moved = [i + writer.clamp(s.at(()), n - m) for i, s, (n, m) in zip(index, starts, shapes, strict=True)]
    return operand.at(tuple(moved))


def window_starts(writer, indices, row, operand_axes, tops, keep_inside):
    """Where a window of a gather or scatter begins: a start for each axis, and tests whether it fits."""
    starts, tests, depth = {}, [], 0
    for k, axis in enumerate(operand_axes):
        start = indices.at((*row, Index(k)))
        start = start if start.atomic else writer.declare("int", "at", start)
        depth = max(depth, start.depth)
        if not keep_inside and tops[axis] >= 0:
            tests.append(f"(uint){start.text} <= {tops[axis]}u")
        starts[axis] = writer.clamp(start, tops[axis])
    return starts, tests, depth


def keeps_inside(params):
    """True if out-of-bounds windows are moved inside (or promised not to occur), False if they are dropped."""
    return params["mode"].name != "FILL_OR_DROP"


def _gather(writer, lazy, index):
    params, (operand, indices) = lazy.equation.params, lazy.operands
    shape, numbers, result = lazy.equation.inputs[0].shape, params["dimension_numbers"], lazy.equation.outputs[0]
    row = [i for axis, i in enumerate(index) if axis not in numbers.offset_dims]
    tops = [n - size for n, size in zip(shape, params["slice_sizes"], strict=True)]
    starts, tests, depth = window_starts(writer, indices, row, numbers.start_index_map, tops, keeps_inside(params))
    batch = dict(zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True))
    offsets = iter(index[axis] for axis in numbers.offset_dims)
    inner = []
    for axis in range(len(shape)):
        if axis in batch:
            inner.append(row[batch[axis]])
        else:
            offset = Index() if axis in numbers.collapsed_slice_dims else next(offsets)
            inner.append(starts.get(axis, Index()) + offset)
    fill = params["fill_value"]
    if fill is None:
        kind = result.dtype.kind
        fill = math.nan if kind == "f" else -(2**31) if kind == "i" else 2**32 - 1 if kind == "u" else True
    outside = Expression(primitives.literal(result.dtype.type(fill)), 0, True)
    return _choice(tests, operand.at(tuple(inner)), outside, depth)


def _update_slice(writer, lazy, index):
    operand, update, *starts = lazy.operands
    shapes = zip(lazy.equation.inputs[0].shape, lazy.equation.inputs[1].shape, strict=True)
    starts = [writer.clamp(s.at(()), n - m) for s, (n, m) in zip(starts, shapes, strict=True)]
    return _window(writer, operand.at(index), update, index, starts, lazy.equation.inputs[1].shape, [], None)


def _window(writer, old, update, index, starts, sizes, tests, change):
    """An entry of an array in which a window is replaced, or changed by `change(old, new)`."""
    tests, inner, depth = list(tests), [], old.depth
    for i, start, size in zip(index, starts, sizes, strict=True):
        offset = i + start * -1
        low, high = offset.bounds
        if low >= size or high < 0:
            return old
        depth = max(depth, offset.depth)  # of the test, which may need a loop that the clamped place does not
        if low < 0 or high >= size:
            tests.append(f"(uint)({offset.text}) < {size}u")
            offset = writer.clamp_index(offset, size - 1)
        inner.append(offset)
    new = update.at(tuple(inner))
    new = new if change is None else Expression(change(old.text, new.text), max(old.depth, new.depth), False)
    return _choice(tests, new, old, max(depth, new.depth))


def _scatter_window(writer, lazy, index):
    """A scatter of a single window."""
    equation, (operand, indices, update) = lazy.equation, lazy.operands
    shape, numbers, into = equation.inputs[0].shape, equation.params["dimension_numbers"], ScatterAxes(equation)
    row = [Index()] * (len(equation.inputs[1].shape) - 1)
    keep = keeps_inside(equation.params)
    starts, tests, _ = window_starts(writer, indices, row, numbers.scatter_dims_to_operand_dims, into.tops, keep)
    starts = [starts.get(axis, Index()) for axis in range(len(shape))]
    reshaped = View(update, into.to_update)
    change = into.change and (lambda old, new: f"({into.change(old, new)})")
    return _window(writer, operand.at(index), reshaped, index, starts, into.sizes, tests, change)


class ScatterAxes:
    """How the axes of a scatter's operand and its updates correspond."""

    def __init__(self, equation):
        numbers, operand, updates = (
            equation.params["dimension_numbers"],
            equation.inputs[0].shape,
            equation.inputs[2].shape,
        )
        self.window = [
            a for a in range(len(operand)) if a not in (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
        ]
        self.update_axes, self.rank = list(numbers.update_window_dims), len(updates)
        self.rows = [a for a in range(len(updates)) if a not in self.update_axes]
        self.sizes = [1] * len(operand)
        for axis, update_axis in zip(self.window, self.update_axes, strict=True):
            self.sizes[axis] = updates[update_axis]
        self.tops = [n - size for n, size in zip(operand, self.sizes, strict=True)]
        op, dtype = equation.op.removeprefix("scatter").lstrip("_"), equation.inputs[0].dtype
        self.change = (lambda old, new: primitives.combine(op, dtype, old, new)) if op else None

    def to_update(self, index):
        """Index of the (single) update window from an offset within the operand's window."""
        places = dict(zip(self.update_axes, (index[axis] for axis in self.window), strict=True))
        return tuple(places.get(axis, Index()) for axis in range(self.rank))


def _reduce(writer, lazy, index):
    """A reduction over short axes: one expression."""
    equation, (variable,) = lazy.equation, lazy.equation.inputs
    op, axes, text, depth = equation.op.removeprefix("reduce_"), equation.params["axes"], None, 0
    for entry in itertools.product(*(range(variable.shape[axis]) for axis in axes)):
        kept = iter(index)
        chosen = dict(zip(axes, entry, strict=True))
        inner = tuple(Index(chosen[a]) if a in chosen else next(kept) for a in range(len(variable.shape)))
        e = lazy.operands[0].at(inner)
        if math.prod(variable.shape[a] for a in axes) == 1:
            return e
        text, depth = (
            e.text if text is None else primitives.combine(op, variable.dtype, text, e.text),
            max(depth, e.depth),
        )
    return Expression(f"({text})", depth, False)


COMPUTE = {
    **dict.fromkeys(primitives.VIEWS, _view),
    **dict.fromkeys(primitives.REDUCTIONS, _reduce),
    **dict.fromkeys(primitives.SCATTERS, _scatter_window),
    "threefry2x32": _threefry,
    "iota": _iota,
    "concatenate": _concatenate,
    "pad": _pad,
    "dynamic_slice": _dynamic_slice,
    "gather": _gather,
    "dynamic_update_slice": _update_slice,
}
