"""Keep the library reference to what a reader needs, and its prose as it was written."""

_written = {}


def skip_fields(app, what, name, member, skip, options):
    """Leave out the members that `typing.NamedTuple` documents as 'Alias for field number ...'."""
    return True if (getattr(member, "__doc__", None) or "").startswith("Alias for field number") else None


def remember(app, what, name, member, options, lines):
    """Note a property's docstring before napoleon, which takes all words before a colon for a type."""
    if what == "property":
        _written[name] = list(lines)


def restore(app, what, name, member, options, lines):
    """Put the docstring of a property back."""
    if what == "property":
        lines[:] = _written.pop(name)


def setup(app):
    """Register the extension."""
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-docstring", remember, priority=499)
    app.connect("autodoc-process-docstring", restore, priority=501)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
