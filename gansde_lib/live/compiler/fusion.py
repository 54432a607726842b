"""Decides what is stored and what is computed where it is read, so that few loops touch memory.

An axis of more than four entries becomes a loop; shorter axes are unrolled, so that the components of a state vector
are separate C variables. An operation without long axes needs no memory at all. Of the others only those are stored
that would otherwise be computed again, or that somebody outside waits for; all the rest is computed, entry by entry,
inside the loop that reads it.
"""

import math
from collections import Counter
from typing import Any, NamedTuple

from . import primitives
from .front_end import Constant
from .indices import Atom, Index

LONGEST_UNROLLED_AXIS, LARGEST_UNROLLED = 4, 16
CHEAP, VERY_CHEAP, LONGEST_CHAIN = 6, 2, 48
LOOPS = {"scan", "while", "cond"}
SPREADING = primitives.ELEMENTWISE | {"broadcast_in_dim"}


def long_axes(shape):
    """Return the axes that become loops."""
    long = [axis for axis, n in enumerate(shape) if n > LONGEST_UNROLLED_AXIS]
    for axis, n in enumerate(shape):
        if math.prod(n for a, n in enumerate(shape) if a not in long) <= LARGEST_UNROLLED:
            break
        long += [axis] if axis not in long and n > 1 else []
    return tuple(sorted(long))


class Target(NamedTuple):
    """A place where a variable is wanted: `place(index)` is the index within `buffer`."""

    buffer: Any
    place: Any
    flush: bool = False  # write denormals as zero


class Plan(NamedTuple):
    """What `plan` decides about a block."""

    uses: Counter
    targets: dict  # variables to the places where they are wanted
    copies: list  # pairs (input or constant, target)
    spread: set  # variables whose entries stand at several places of a result
    stored: set  # variables that are computed once: arrays in buffers, small ones in C variables


def is_lazy(equation):
    """True if each entry of the result can be computed by itself."""
    op = equation.op
    if op == "concatenate":  # along a loop, each part has a loop of its own
        return equation.params["dimension"] not in long_axes(equation.outputs[0].shape)
    if op in primitives.REDUCTIONS:
        return not set(equation.params["axes"]) & set(long_axes(equation.inputs[0].shape))
    if op in primitives.SCATTERS:  # one window, or many that may overlap
        return math.prod(equation.inputs[1].shape[:-1]) == 1
    return op not in LOOPS


def plan(block, targets, new_buffer):
    """Decide for a block whose outputs are wanted at `targets`, a dictionary from variables to lists."""
    uses = Counter(x for equation in block.equations for x in equation.inputs)
    uses.update(x for x in block.outputs if x is not None)
    targets = {x: list(places) for x, places in targets.items()}
    copies = _push_targets(block, targets, new_buffer)
    spread = {x for e in block.equations for x in e.inputs if e.op in SPREADING and e.outputs[0].size > x.size}
    return Plan(uses, targets, copies, spread, _choose(block, uses, targets, _repeated(block)))


def _push_targets(block, targets, new_buffer):
    """Hand the places where results are wanted to the operands they consist of; return what must be copied."""
    made = {x for equation in block.equations for x in equation.outputs}
    for equation in reversed(block.equations):
        result = equation.outputs[0]
        if equation.op == "concatenate" and not is_lazy(equation):
            places, start, axis = targets.setdefault(result, []), 0, equation.params["dimension"]
            if not places:
                places.append(Target(new_buffer("joined", result), tuple))
            for operand in equation.inputs:
                targets.setdefault(operand, []).extend(_moved(place, axis, start) for place in places)
                start += operand.shape[axis]
        elif equation.op == "scan":
            probe = Index.of(Atom("turn", 0, equation.params["length"]))
            for _, outer in equation.params["ys"]:
                for target in targets.setdefault(outer, [Target(new_buffer("steps", outer), tuple)]):
                    target.buffer.major(
                        [bool(i.terms) for i in target.place((probe, *[Index()] * len(outer.shape[1:])))]
                    )
        elif equation.op in primitives.VIEWS and result in targets and (into := primitives.inverse(equation)):
            moved = [t._replace(place=lambda index, t=t, into=into: t.place(into(index))) for t in targets.pop(result)]
            targets.setdefault(equation.inputs[0], []).extend(moved)
    return [(x, target) for x in [x for x in targets if x not in made] for target in targets.pop(x)]


def _moved(target, axis, start):
    def place(index):
        return target.place(tuple(i + start if a == axis else i for a, i in enumerate(index)))

    return target._replace(place=place)


def _repeated(block):
    """Return the variables whose entries are read again in an inner loop, or in every turn of a loop."""
    repeated = set()
    for equation in reversed(block.equations):
        op, result = equation.op, equation.outputs[0]
        if op == "scan":
            inner_uses = Counter(x for inner in equation.params["body"].equations for x in inner.inputs)
            inner_repeated = _repeated(equation.params["body"])
            repeated.update(outer for outer, _ in equation.params["consts"])
            for outer, inner in equation.params["xs"]:
                repeated.update([outer] if inner_uses[inner] > 1 or inner in inner_repeated else [])
        elif op in LOOPS:
            repeated.update(equation.inputs)
        elif (op == "gather" and math.prod(result.shape) > math.prod(equation.inputs[0].shape)) or (
            op in primitives.VIEWS and result in repeated
        ):
            repeated.add(equation.inputs[0])
        if op == "broadcast_in_dim":
            axes = equation.params["broadcast_dimensions"]
            repeated.update(x for x in equation.inputs if _inside(x.shape, axes, result.shape))
        elif op in primitives.ELEMENTWISE:
            repeated.update(
                x for x in equation.inputs if x.shape and _inside(x.shape, range(len(x.shape)), result.shape)
            )
    return repeated


def _inside(shape, axes, result):
    """True if an axis that is broadcast lies outside one that is not."""
    kept = {axis for axis, n in zip(axes, shape, strict=True) if n == result[axis]}
    loops = [axis in kept for axis in long_axes(result)]
    return False in loops and True in loops[loops.index(False) :]


def _rearranges(equation):
    """True for a reshape that does more than add or drop axes of one entry: its indices need divisions."""
    before, after = ([n for n in x.shape if n > 1] for x in (equation.inputs[0], equation.outputs[0]))
    return before != after


def _choose(block, uses, targets, repeated):
    cost, chain, stored = Counter(), Counter(), set()
    for equation in block.equations:
        own = primitives.COSTS.get(equation.op, 0 if equation.op in primitives.VIEWS else 1)
        if equation.op == "reshape" and _rearranges(equation):
            own = VERY_CHEAP
        operands = [x for x in equation.inputs if not isinstance(x, Constant)]
        total = own + sum(cost[x] for x in operands)
        if equation.op in primitives.REDUCTIONS:  # only those over short axes can be lazy
            total *= max(1, math.prod(equation.inputs[0].shape) // max(1, math.prod(equation.outputs[0].shape)))
        length = 1 + max((chain[x] for x in operands), default=0)
        for x in equation.outputs:
            again = uses[x] > 1 and (total >= CHEAP or not long_axes(x.shape))
            again |= x in repeated and (total >= VERY_CHEAP or not long_axes(x.shape))
            if not is_lazy(equation) or x in targets or again or length > LONGEST_CHAIN:
                stored.add(x)
            else:
                cost[x], chain[x] = total, length
    return stored
