"""Writes C: scopes, loops that several results share, buffers, and the text in the end."""

import math
import re
from typing import Any, NamedTuple

import numpy as np

from .fusion import long_axes
from .indices import Atom, Index, strides
from .primitives import C_TYPES, bare, literal


class NotFusable(Exception):
    """A result needs another loop to be finished first."""


class Expression(NamedTuple):
    """C text; `depth` is the innermost scope that it depends on; atomic text is a name or a literal."""

    text: str
    depth: int
    atomic: bool


class Buffer:
    """An array in memory. Short axes are outermost, so that neighbours along a loop are neighbours in memory."""

    def __init__(self, number, name, shape, dtype, *, exported=False, plain=False, data=None):
        long = long_axes(shape)
        self.number, self.name, self.shape, self.dtype, self.data = number, name, tuple(shape), dtype, data
        plain = plain or data is not None  # as everybody else lays it out
        self.order = list(range(len(shape))) if plain else [a for a in range(len(shape)) if a not in long] + list(long)
        self.needed = self.exported = exported
        self.filled_by = None  # the nest that writes it
        self.first_written, self.last_read, self.last_crooked = math.inf, -1, -1  # moments, see Writer.moment
        self.same_as = None  # a carry that is updated in place
        self._strides = None

    def major(self, which):
        """Make the axes outermost where `which` is true, so that a turn of a loop over them writes neighbours.

        Only before the first use of the layout.
        """
        if self._strides is None:
            self.order.sort(key=lambda axis: not which[axis])

    @property
    def strides(self):
        """Distance in elements between neighbours along each axis."""
        if self._strides is None:
            by_axis = strides(self.shape, self.order)
            self._strides = [by_axis[axis] for axis in range(len(self.shape))]
        return self._strides

    def position(self, index):
        """The position of an entry."""
        flat = Index()
        for i, stride in zip(index, self.strides, strict=True):
            flat = flat + i * stride
        return flat

    def entry(self, index):
        """C of an entry; the number stands for the name until all names are settled."""
        return f"@{self.number}@[{self.position(index).text}]"

    def becomes(self, following):
        """Let the next state of a loop be written over this one, if each turn reads an entry before it writes it.

        Otherwise return False: then the next state has to be copied here.
        """
        if self.last_read <= following.first_written and self.last_crooked < following.first_written:
            following.same_as = self
            self.needed |= following.needed
            return True
        self.needed = following.needed = True
        return False

    def declaration(self):
        """C that defines the array."""
        head = f"{C_TYPES[self.dtype]} {self.name}[{math.prod(self.shape)}]"
        if self.data is None:
            return f"{'' if self.exported else 'static '}{head};"
        entries = [literal(x) for x in self.data.ravel()]
        lines = ["  " + ", ".join(entries[k : k + 12]) for k in range(0, len(entries), 12)]
        return f"static const {head} = {{\n" + ",\n".join(lines) + "\n};"


class Store(NamedTuple):
    """A line that is only needed if its buffer is."""

    buffer: Buffer
    text: str


class Scope:
    """A block in braces, with what has been computed in it."""

    def __init__(self, header):
        self.header, self.lines, self.known = header, [], {}

    def effective(self):
        """False if nothing remains after the scope is left."""
        return any(
            line.effective()
            if isinstance(line, Scope)
            else root(line.buffer).needed
            if isinstance(line, Store)
            else not line.startswith("const ")
            for line in self.lines
        )

    def text(self, indent):
        """The scope as lines of C."""
        pad = "  " * indent
        yield f"{pad}{self.header} {{"
        for line in self.lines:
            if isinstance(line, Scope):
                yield from line.text(indent + 1) if line.effective() else ()
            elif isinstance(line, str) or root(line.buffer).needed:
                yield f"{pad}  {line if isinstance(line, str) else line.text}"
        yield f"{pad}}}"


class Nest(NamedTuple):
    """Loops that are open and may take up further results of the same kind."""

    key: Any
    index: tuple  # the loop variables
    moment: int
    depth: int  # of the innermost loop over the results
    tail: list  # stores at the end of each turn


def root(buffer):
    """The buffer that this one has become part of."""
    return buffer if buffer.same_as is None else root(buffer.same_as)


class Writer:
    """The C text being written: a stack of scopes, innermost last, and the loops that are open."""

    def __init__(self):
        self.scopes = [Scope('__attribute__((export_name("run"))) void run(void)')]
        self.base = 0  # the scope of the current block, outside of its nests
        self.buffers, self.nest, self.moment, self.count = [], None, 0, 0

    # names and lines

    def name(self, hint):
        """A new C name."""
        self.count += 1
        return f"{re.sub(r'[^0-9a-zA-Z_]', '_', hint)}_{self.count}"

    def buffer(self, hint, shape, dtype, *, name=None, **options):
        """A new array."""
        self.buffers.append(Buffer(len(self.buffers), name or self.name(hint), shape, dtype, **options))
        return self.buffers[-1]

    def line(self, text, depth):
        """Write a line (a string, a Store or a Scope) into an open scope."""
        self.scopes[depth].lines.append(text)

    def declare(self, dtype, hint, expression):
        """Give an expression a name, in the outermost scope where it can be computed."""
        name = self.name(hint)
        self.line(f"const {C_TYPES.get(dtype, dtype)} {name} = {bare(expression.text)};", expression.depth)
        return Expression(name, expression.depth, True)

    def variable(self, dtype, hint, start):
        """Declare a C variable that changes; return its name."""
        name = self.name(hint)
        self.line(f"{C_TYPES[dtype]} {name}{'' if start is None else ' = ' + start};", self.base)
        return name

    def settle(self, expression, dtype, depth, hint="fixed"):
        """Name an expression that does not change within the scope `depth`, so that it is computed once outside."""
        move = not expression.atomic and expression.depth < depth
        return self.declare(dtype, hint, expression) if move else expression

    def recall(self, key):
        """What has been computed under this key in a scope that is open, or None."""
        return next((scope.known[key] for scope in reversed(self.scopes) if key in scope.known), None)

    def remember(self, key, expression):
        """Remember what has been computed."""
        self.scopes[expression.depth].known[key] = expression

    # integers

    def clamp(self, expression, top):
        """An index from a computed integer, moved into 0, ..., top."""
        if expression.text.rstrip("u").lstrip("-").isdigit():
            return Index(min(max(int(expression.text.rstrip("u")), 0), top))
        if top == 0:
            return Index()
        text = f"max_int(0, min_int({bare(expression.text)}, {top}))"
        at = self.declare("int", "at", Expression(text, expression.depth, False))
        return Index.of(Atom(at.text, at.depth, top + 1))

    def clamp_index(self, index, top):
        """An index moved into 0, ..., top where it could lie outside."""
        low, high = index.bounds
        return index if low >= 0 and high <= top else self.clamp(Expression(index.text, index.depth, False), top)

    # loops

    def open(self, header):
        """Open a scope."""
        self.scopes.append(Scope(header))

    def close(self):
        """Close the innermost scope, which becomes a line of the one around it."""
        scope = self.scopes.pop()
        self.scopes[-1].lines.append(scope)

    def open_loop(self, size, prefix="", names="ijklmnpq"):
        """Open a loop and return its variable as an index."""
        used = {re.search(r"for \(int (\w+)", s.header).group(1) for s in self.scopes if "for (int" in s.header}
        name = next(n for n in [*names, *(f"{names[0]}{k}" for k in range(99))] if n not in used)
        self.open(f"{prefix}for (int {name} = 0; {name} < {size}; {name}++)")
        return Index.of(Atom(name, len(self.scopes) - 1, size))

    def open_nest(self, key, sizes, inner=(), prefix="PARALLEL "):
        """Open loops over `sizes`, and `inner` ones in them, unless loops with this key are open already.

        Only the innermost loop takes the prefix. Return all loop variables.
        """
        if self.nest is None or self.nest.key != key:
            self.close_nest()
            self.moment += 1
            sizes_all = (*sizes, *inner)
            index = []
            for k, size in enumerate(sizes_all):
                last = k == len(sizes_all) - 1
                index.append(self.open_loop(size, prefix if last and size >= 4 else ""))
            self.nest = Nest(key, tuple(index), self.moment, self.base + len(sizes), [])
        return self.nest.index

    def close_nest(self):
        """Write the stores that wait and close the loops."""
        if self.nest is not None:
            nest, self.nest = self.nest, None
            self.moment += 1
            while len(self.scopes) - 1 > nest.depth:
                self.close()
            self.scopes[-1].lines.extend(nest.tail)
            while len(self.scopes) - 1 > self.base:
                self.close()

    def attempt(self, work):
        """Do `work` within the nest that is open; if that needs a result of the nest, close it and do it again."""
        before = [(len(scope.lines), dict(scope.known)) for scope in self.scopes]
        tail = len(self.nest.tail) if self.nest else 0
        try:
            return work()
        except NotFusable:
            for scope, (lines, known) in zip(self.scopes, before, strict=True):
                del scope.lines[lines:]
                scope.known = known
            del self.nest.tail[tail:]
            self.close_nest()
            return work()

    # memory

    def load(self, buffer, index, depth):
        """An entry of a buffer that was written at scope `depth`."""
        key = (buffer, index)
        known = self.recall(key)
        if known is not None:
            return known
        if self.nest is not None and buffer.filled_by is self.nest:
            raise NotFusable
        buffer.needed, buffer.last_read = True, self.moment
        if self.nest is None or tuple(index[axis] for axis in long_axes(buffer.shape)) != self.nest.index:
            buffer.last_crooked = self.moment
        at = buffer.position(index)
        loaded = self.declare(
            buffer.dtype, _stem(buffer.name), Expression(buffer.entry(index), max(depth, at.depth), False)
        )
        self.remember(key, loaded)
        return loaded

    def store(self, target, index, expression):
        """Store an entry at a target: in a nest at the end of the turn, otherwise here."""
        buffer, place = target.buffer, tuple(target.place(index))
        value = f"flush({expression.text})" if target.flush and buffer.dtype == np.float32 else bare(expression.text)
        store = Store(buffer, f"{buffer.entry(place)} = {value};")
        buffer.first_written = min(buffer.first_written, self.moment)
        return store, (buffer, place)

    def text(self, head):
        """The whole C file."""
        body = "\n".join(self.scopes[0].text(0))
        used = {int(number) for number in re.findall(r"@(\d+)@", body)}
        names = {str(b.number): root(b).name for b in self.buffers}
        kept = [
            b
            for b in self.buffers
            if b.same_as is None and (b.exported or b.number in {root(self.buffers[n]).number for n in used})
        ]
        declarations = "\n".join(b.declaration() for b in kept)
        return f"{head}\n{declarations}\n\n" + re.sub(r"@(\d+)@", lambda m: names[m.group(1)], body) + "\n"


def _stem(name):
    """What an entry loaded from a buffer is called."""
    stem = re.sub(r"_\d+$", "", name).removeprefix("in_").removeprefix("out_")
    return f"entry_{stem}" if stem[0].isdigit() else stem
