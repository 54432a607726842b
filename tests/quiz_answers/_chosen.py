"""How an answer names the choice it belongs to."""


def chosen(found, words):
    """Return the words that belong to what was found; exactly one of the cases may hold."""
    matching = [words[case] for case, holds in found.items() if holds]
    assert len(matching) == 1, f"expected one of {list(words)}, found {found}"
    return matching[0]
