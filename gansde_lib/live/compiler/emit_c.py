"""From blocks to C: each operation in turn, loops as loops, sums with accumulators."""

import itertools

import numpy as np

from . import fusion, primitives
from .front_end import Constant
from .fusion import Target, long_axes
from .indices import Index
from .primitives import bare
from .values import Lazy, Local, ScatterAxes, Stored, View, keeps_inside, window_starts
from .writer import Buffer, Expression, Writer


def emit(block, input_names, output_names, head):
    """Return the C text of a program, and its input and output buffers (with strides)."""
    emitter = _Emitter()
    writer = emitter.writer
    inputs = [
        writer.buffer("in", var.shape, var.dtype, name=name, exported=True, plain=True)
        for var, name in zip(block.inputs, input_names, strict=True)
    ]
    outputs = [
        writer.buffer("out", var.shape, var.dtype, name=name, exported=True)
        for var, name in zip(block.outputs, output_names, strict=True)
    ]
    env = {var: Stored(writer, buffer, 0) for var, buffer in zip(block.inputs, inputs, strict=True)}
    targets = {}
    for var, buffer in zip(block.outputs, outputs, strict=True):
        targets.setdefault(var, []).append(Target(buffer, tuple))
    emitter.block(block, env, targets)
    return writer.text(head), inputs, outputs


def _every(shape):
    """All indices of a small shape, as `Index` tuples."""
    return [tuple(map(Index, entry)) for entry in itertools.product(*map(range, shape))]


class _Emitter:
    def __init__(self):
        self.writer, self.constants = Writer(), {}

    # blocks

    def block(self, block, env, targets):
        """Write a block; `env` maps its inputs to values and receives all others."""
        writer, outer = self.writer, self.writer.base
        writer.base = len(writer.scopes) - 1
        plan = fusion.plan(block, targets, lambda hint, var: writer.buffer(hint, var.shape, var.dtype))
        for var, target in plan.copies:
            self.compute(var, self.value(env, var), [target])
        for equation in block.equations:
            if fusion.is_lazy(equation):
                self.simple(equation, env, plan)
            elif equation.op in primitives.REDUCTIONS:
                env[equation.outputs[0]] = self.reduce(equation, env, plan)
            else:
                writer.close_nest()
                op = "scatter" if equation.op in primitives.SCATTERS else equation.op
                getattr(self, "_" + op)(equation, env, plan)
        writer.close_nest()
        writer.base = outer

    def value(self, env, var):
        """The value of a variable or constant."""
        if var in env or not isinstance(var, Constant):
            return env[var]
        key = (var.value.tobytes(), var.shape, var.dtype)
        if key not in self.constants:
            flat = var.value.ravel()
            if not long_axes(var.shape):
                entries = [Expression(primitives.literal(x), 0, True) for x in flat]
                value = Local(self.writer, var.shape, dict(zip(np.ndindex(var.shape), entries, strict=True)))
            elif len({x.tobytes() for x in flat}) == 1:
                everywhere = Local(self.writer, (), {(): Expression(primitives.literal(flat[0]), 0, True)})
                value = View(everywhere, lambda index: ())
            else:
                value = Stored(self.writer, self.writer.buffer("table", var.shape, var.dtype, data=var.value), 0)
            self.constants[key] = value
        return self.constants[key]

    def simple(self, equation, env, plan):
        """An operation whose entries are computed one by one."""
        operands = [self.value(env, x) for x in equation.inputs]
        for position, var in enumerate(equation.outputs):
            value = Lazy(self.writer, equation, operands, plan.uses[var] > 1 or var in plan.spread, position)
            env[var] = self.compute(var, value, plan.targets.get(var, []), equation.op) if var in plan.stored else value

    def compute(self, var, value, targets, hint="copy"):
        """Compute all entries now, into the targets or a new buffer, or into C variables; return where they are."""
        writer, long = self.writer, long_axes(var.shape)

        def small():
            entries = {}
            for index in _every(var.shape):
                entry = value.at(index)
                entry = entry if entry.atomic else writer.declare(var.dtype, hint, entry)
                entries[tuple(i.constant for i in index)] = entry
                for target in targets:
                    writer.line(writer.store(target, index, entry)[0], writer.base)
            return Local(writer, var.shape, entries)

        def large():
            sizes = tuple(var.shape[axis] for axis in long)
            loops = writer.open_nest(("each", sizes), sizes)
            for index in self.indices(var.shape, long, loops):
                entry = value.at(index)
                entry = entry if entry.atomic else writer.declare(var.dtype, hint, entry)
                for target in targets:
                    store, key = writer.store(target, index, entry)
                    writer.nest.tail.append(store)
                    writer.scopes[-1].known[key] = entry  # only here: a loop may change the buffer later
                    target.buffer.filled_by = writer.nest
            return Stored(writer, targets[0].buffer, writer.base, targets[0].place)

        if not long:
            return writer.attempt(small)
        targets = targets or [Target(writer.buffer(hint, var.shape, var.dtype), tuple)]
        return writer.attempt(large)

    def indices(self, shape, long, loops):
        """All entries of one turn of the loops over the long axes."""
        loop = dict(zip(long, loops, strict=True))
        short = [[loop[a]] if a in loop else map(Index, range(n)) for a, n in enumerate(shape)]
        return list(itertools.product(*short))

    # reductions

    def reduce(self, equation, env, plan):
        """Sums and the like over long axes."""
        (operand,), (result,), axes = equation.inputs, equation.outputs, equation.params["axes"]
        long = long_axes(operand.shape)
        summed = [axis for axis in long if axis in axes]
        rows = not any(axis in axes for axis in long[: len(long) - len(summed)])
        value, targets = self.value(env, operand), plan.targets.get(result, [])
        if rows:
            return self.sum_rows(equation, value, long, summed, targets)
        value = self.sum_columns(equation, value, long)
        return self.compute(result, value, targets) if targets else value

    def parts(self, equation, long, loops):
        """Pairs (index of the operand, index of the result) for each entry of one turn of the loops."""
        (operand,), axes = equation.inputs, equation.params["axes"]
        for index in self.indices(operand.shape, long, loops):
            yield index, tuple(i for axis, i in enumerate(index) if axis not in axes)

    def sum_rows(self, equation, value, long, summed, targets):
        """The summed axes are innermost: accumulate in C variables."""
        writer, (operand,), (result,) = self.writer, equation.inputs, equation.outputs
        op, dtype = equation.op.removeprefix("reduce_"), result.dtype
        outer = [operand.shape[axis] for axis in long[: len(long) - len(summed)]]
        inner = [operand.shape[axis] for axis in summed]
        small = not long_axes(result.shape)
        if not small:
            targets = targets or [Target(writer.buffer(op, result.shape, dtype), tuple)]

        def work():
            loops = writer.open_nest(("rows", tuple(outer), tuple(inner)), outer, inner, "")
            accumulators = {}
            for index, place in self.parts(equation, long, loops):
                if place not in accumulators:
                    name = writer.name(op)
                    start = f"{primitives.C_TYPES[dtype]} {name} = {primitives.identity(op, dtype)};"
                    writer.line(start, writer.nest.depth)
                    accumulators[place] = Expression(name, writer.nest.depth, True)
                entry, name = value.at(index), accumulators[place].text
                entry = entry if entry.atomic or op not in ("max", "min") else writer.declare(dtype, "entry", entry)
                text = f"{name} = {primitives.combine(op, dtype, name, entry.text)};"
                writer.line(f"{{ ANY_ORDER {text} }}" if dtype.kind == "f" else text, len(writer.scopes) - 1)
            if small:
                for place, entry in accumulators.items():
                    stores = [writer.store(target, place, entry)[0] for target in targets]
                    writer.nest.tail.extend(stores)
                entries = {tuple(i.constant for i in place): entry for place, entry in accumulators.items()}
                return Local(writer, result.shape, entries, writer.nest)
            for place, entry in accumulators.items():
                for target in targets:
                    writer.nest.tail.append(writer.store(target, place, entry)[0])
                    target.buffer.filled_by = writer.nest
            return Stored(writer, targets[0].buffer, writer.base, targets[0].place)

        return writer.attempt(work)

    def sum_columns(self, equation, value, long):
        """A summed axis lies outside of one that is kept: accumulate in memory, which lets the loop inside use SIMD."""
        writer, (operand,), (result,) = self.writer, equation.inputs, equation.outputs
        op, dtype = equation.op.removeprefix("reduce_"), result.dtype
        buffer = writer.buffer(op, result.shape, dtype)
        start = Expression(primitives.identity(op, dtype), 0, True)
        writer.close_nest()
        self.compute(result, View(Local(writer, (), {(): start}), lambda index: ()), [Target(buffer, tuple)], op)
        writer.close_nest()
        writer.open_nest(("columns", buffer), [operand.shape[axis] for axis in long])
        for index, place in self.parts(equation, long, writer.nest.index):
            entry = buffer.entry(place)
            text = primitives.combine(op, dtype, entry, value.at(index).text)
            writer.line(f"{entry} = {text};", len(writer.scopes) - 1)
        buffer.needed = True
        writer.close_nest()
        return Stored(writer, buffer, writer.base)

    # statements

    def _concatenate(self, equation, env, plan):
        """All parts have been written in place; see `fusion.plan`."""
        target = plan.targets[equation.outputs[0]][0]
        env[equation.outputs[0]] = Stored(self.writer, target.buffer, self.writer.base, target.place)

    def _scatter(self, equation, env, plan):
        """Copy the operand, then change entry after entry."""
        writer, (operand, indices, updates), (result,) = self.writer, equation.inputs, equation.outputs
        buffer, into = writer.buffer("scatter", result.shape, result.dtype), ScatterAxes(equation)
        buffer.needed = True
        self.compute(result, self.value(env, operand), [Target(buffer, tuple)])
        writer.close_nest()
        numbers = equation.params["dimension_numbers"]
        index = tuple(writer.open_loop(n) for n in updates.shape)
        row = [index[axis] for axis in into.rows]
        axes, keep = numbers.scatter_dims_to_operand_dims, keeps_inside(equation.params)
        starts, tests, _ = window_starts(writer, self.value(env, indices), row, axes, into.tops, keep)
        for axis, batch in zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True):
            starts[axis] = row[batch]
        window = dict(zip(into.window, (index[axis] for axis in into.update_axes), strict=True))
        entry = buffer.entry([starts.get(a, Index()) + window.get(a, Index()) for a in range(len(operand.shape))])
        new = self.value(env, updates).at(index).text
        test = f"if ({' && '.join(tests)}) " if tests else ""
        writer.line(f"{test}{entry} = {into.change(entry, new) if into.change else new};", len(writer.scopes) - 1)
        for _ in index:
            writer.close()
        env[result] = Stored(writer, buffer, writer.base)
        self.deliver(result, env, plan)

    def deliver(self, var, env, plan):
        """Copy a result to where it is wanted."""
        if plan.targets.get(var):
            self.compute(var, env[var], plan.targets[var])

    # loops

    def enter(self, carries, env, inner):
        """Set up what a loop carries; return for each its C variables or its buffer (None if it never changes)."""
        writer, states = self.writer, []
        for start, inside, new, _ in carries:
            value = self.value(env, start)
            if new is inside:
                inner[inside], state = value, None
            elif long_axes(inside.shape):
                state = writer.buffer("state", inside.shape, inside.dtype)
                self.compute(inside, value, [Target(state, tuple, True)])
                inner[inside] = Stored(writer, state, writer.base + 1)
            else:
                entries = {tuple(i.constant for i in index): value.at(index).text for index in _every(inside.shape)}
                state = {key: writer.variable(inside.dtype, "state", bare(text)) for key, text in entries.items()}
                inner[inside] = self.entries(inside, state, writer.base + 1)
            states.append(state)
        writer.close_nest()
        return states

    def entries(self, var, names, depth):
        """The value that consists of C variables with these names."""
        return Local(self.writer, var.shape, {key: Expression(name, depth, True) for key, name in names.items()})

    def turn(self, body, inner, carries, states, targets):
        """Write one turn of a loop: the body, then the new state."""
        writer, following = self.writer, {}
        for (_, inside, new, _), state in zip(carries, states, strict=True):
            if isinstance(state, Buffer):
                following[inside] = writer.buffer("next", inside.shape, inside.dtype)
                targets.setdefault(new, []).append(Target(following[inside], tuple, True))
        self.block(body, inner, targets)
        assignments = []
        for (_, inside, new, _), state in zip(carries, states, strict=True):
            if isinstance(state, dict):
                value = self.value(inner, new)
                entries = {name: value.at(tuple(map(Index, key))) for key, name in state.items()}
                assignments += self.assign(inside.dtype, entries)
        for (_, inside, _, _), state in zip(carries, states, strict=True):
            if inside in following and not state.becomes(following[inside]):
                copy = f"@{state.number}@[i] = @{following[inside].number}@[i];"
                assignments.append(f"PARALLEL for (int i = 0; i < {inside.size}; i++) {copy}")
        for line in assignments:
            writer.line(line, len(writer.scopes) - 1)

    def assign(self, dtype, entries):
        """Lines that change C variables all at once: what they become is computed before."""
        for name, entry in entries.items():
            known = entry.text[0].isdigit()
            new = entry if known else self.writer.declare(dtype, "next", entry)
            yield f"{name} = {f'flush({new.text})' if dtype.kind == 'f' and not known else new.text};"

    def leave(self, carries, states, env, plan):
        """Bind what a loop has carried to its results."""
        writer = self.writer
        for (start, inside, _, result), state in zip(carries, states, strict=True):
            if result is None:
                continue
            if state is None:
                env[result] = self.value(env, start)
            elif isinstance(state, dict):
                env[result] = self.entries(inside, state, writer.base)
            else:
                env[result] = Stored(writer, state, writer.base)
            self.deliver(result, env, plan)

    def _scan(self, equation, env, plan):
        writer, params, inner = self.writer, equation.params, {}
        inner.update((var, self.value(env, outer)) for outer, var in params["consts"])
        states = self.enter(params["carries"], env, inner)
        targets = {}
        step = writer.open_loop(params["length"], names="tuvwxyz")
        if params["reverse"]:
            step = step * -1 + (params["length"] - 1)
        for outer, var in params["xs"]:
            inner[var] = View(self.value(env, outer), lambda index: (step, *index))
        for new, outer in params["ys"]:
            places = plan.targets[outer]
            env[outer] = Stored(writer, places[0].buffer, writer.base, places[0].place)
            for target in places:
                place = lambda index, target=target: target.place((step, *index))  # noqa: E731
                targets.setdefault(new, []).append(target._replace(place=place))
        self.turn(params["body"], inner, params["carries"], states, targets)
        writer.close()
        self.leave(params["carries"], states, env, plan)

    def _while(self, equation, env, plan):
        writer, params, inner = self.writer, equation.params, {}
        inner.update((var, self.value(env, outer)) for outer, var in params["consts"])
        states = self.enter(params["carries"], env, inner)
        writer.open("for (;;)")
        inner.update((alias, inner[var]) for alias, var in params["aliases"])
        self.block(params["test"], inner, {})
        going = self.value(inner, params["test"].outputs[0]).at(())
        writer.line(f"if (!{going.text}) break;", len(writer.scopes) - 1)
        self.turn(params["body"], inner, params["carries"], states, {})
        writer.close()
        self.leave(params["carries"], states, env, plan)

    def _cond(self, equation, env, plan):
        writer, branches = self.writer, equation.params["branches"]
        which, *operands = equation.inputs
        which = writer.clamp(self.value(env, which).at(()), len(branches) - 1).text
        places = {}
        for var in equation.outputs:
            if long_axes(var.shape):
                places[var] = plan.targets.get(var) or [Target(writer.buffer("case", var.shape, var.dtype), tuple)]
                env[var] = Stored(writer, places[var][0].buffer, writer.base, places[var][0].place)
            else:
                names = {
                    tuple(i.constant for i in index): writer.variable(var.dtype, "case", None)
                    for index in _every(var.shape)
                }
                env[var] = self.entries(var, names, writer.base)
        for k, branch in enumerate(branches):
            writer.open(f"if ({which} == {k})")
            inner, targets = {x: self.value(env, outer) for x, outer in zip(branch.inputs, operands, strict=True)}, {}
            for var, new in zip(equation.outputs, branch.outputs, strict=True):
                targets.setdefault(new, []).extend(places.get(var, []))
            self.block(branch, inner, {new: where for new, where in targets.items() if where})
            for var, new in zip(equation.outputs, branch.outputs, strict=True):
                if var not in places:
                    for key, name in env[var].entries.items():
                        entry = self.value(inner, new).at(tuple(map(Index, key)))
                        writer.line(f"{name.text} = {entry.text};", len(writer.scopes) - 1)
            writer.close()
        for var in equation.outputs:
            if var not in places:
                self.deliver(var, env, plan)
