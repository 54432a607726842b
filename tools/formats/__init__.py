"""The book in other formats: `python -m tools.formats offline|notebooks|epub|pdf`; all read the built pages."""
