"""All minibatches of a small game, and all orders of an epoch, with their probabilities: for exact expectations."""

import itertools
import math

import numpy as np

from gansde_lib import _checks

LIMIT = 50_000
"""At most this many minibatches or orders are written out."""


def _refuse(count, what, size, batch):
    if count > LIMIT:
        raise ValueError(
            f"{size} samples in batches of {batch} have {count} {what}, more than {LIMIT} to be written out; for "
            "example 14 samples and batch=4"
        )


def minibatches(size, batch, *, replacement=True):
    """Return the weights of every possible minibatch mean, and the probabilities.

    Args:
        size: number of samples.
        batch: size of a minibatch.
        replacement: whether samples are drawn with replacement.

    Returns:
        Weights of shape (count, size), each row of sum one, and probabilities of shape (count,).

    Raises:
        ValueError: if there are more than `LIMIT`, or the batch does not fit.

    >>> minibatches(2, 2)
    (array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]]), array([0.25, 0.5 , 0.25]))
    """
    _checks.whole("batch", batch, minimum=1, example="minibatches(14, 4)")
    if not replacement and batch > size:
        raise ValueError(f"batch={batch} exceeds the {size} samples; for example minibatches(14, 4, replacement=False)")
    count = math.comb(size + batch - 1, batch) if replacement else math.comb(size, batch)
    _refuse(count, "minibatches", size, batch)
    choose = itertools.combinations_with_replacement if replacement else itertools.combinations
    numbers = np.array(list(choose(range(size), batch)))
    counts = (numbers[:, :, None] == np.arange(size)).sum(1)
    ways = [math.factorial(batch) // math.prod(map(math.factorial, row)) for row in counts.tolist()]
    return counts / batch, np.array(ways) / (size**batch if replacement else count * math.factorial(batch))


def epochs(size, batch):
    """Return the weights of the minibatches of one epoch, for every order; all orders are equally likely.

    Args:
        size: number of samples.
        batch: size of a minibatch, a divisor of `size`.

    Returns:
        Weights of shape (count, size // batch, size).

    Raises:
        ValueError: if there are more than `LIMIT` orders, or the batch does not divide the size.

    >>> epochs(4, 2).shape
    (6, 2, 4)
    """
    _checks.whole("batch", batch, minimum=1, example="epochs(6, 2)")
    if size % batch:
        raise ValueError(
            f"the batch must divide the number of samples, found {batch} and {size}; for example epochs(6, 2)"
        )
    _refuse(math.factorial(size) // math.factorial(batch) ** (size // batch), "orders", size, batch)

    def orders(left):
        if not left:
            yield ()
        for chosen in itertools.combinations(left, batch):
            for rest in orders(tuple(k for k in left if k not in chosen)):
                yield (chosen, *rest)

    numbers = np.array(list(orders(tuple(range(size)))))
    return (numbers[..., None] == np.arange(size)).sum(2) / batch
