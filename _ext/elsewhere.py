"""Buttons that open a page's notebook on Binder or Colab, where `_config.yml` names a public repository.

The theme's own buttons would lead to the sources with their MyST directives, and start an image anew after every
commit. These lead to the plain notebooks, which nbgitpuller fetches into an image that changes only with the lock.
Without a public repository there are none: a button that leads nowhere is worse than no button.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tools"))

import public_repository as public  # found on the path that was just set


def buttons(site, page):
    """Return the theme's description of the group of buttons for the notebook of a page.

    >>> group = buttons(public.parse("owner/book"), "book/gda")
    >>> [button["text"] for button in group["buttons"]], group["buttons"][1]["url"].rpartition("/")[2]
    (['Binder', 'Colab'], 'gda.ipynb')
    """
    links = {"Binder": site.binder(f"{page}.ipynb"), "Colab": site.colab(f"{page}.ipynb")}
    return {
        "type": "group",
        "label": "launch-buttons",
        "icon": "fas fa-rocket",
        "tooltip": "Run this notebook elsewhere",
        "buttons": [
            {
                "type": "link",
                "text": name,
                "url": url,
                "tooltip": f"Run this notebook on {name}",
                "icon": "fas fa-play",
                "label": f"launch-{name.lower()}",
            }
            for name, url in links.items()
        ],
    }


def add_buttons(app, pagename, templatename, context, doctree):
    """Add the group to the pages that are notebooks."""
    site = public.parse(app.config.gansde_public_repository)
    if site and doctree and Path(app.srcdir, f"{pagename}.ipynb").is_file():
        context["header_buttons"].insert(0, buttons(site, pagename))


def setup(app):
    """Register the extension."""
    app.add_config_value(public.KEY, "", "html")
    app.connect("html-page-context", add_buttons, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
