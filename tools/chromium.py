"""Find a Chromium for the browser tests, and install one where there is none: `python tools/chromium.py`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

# The headless shell first: the same engine, and no windows and menus, which took a fifth of a visit.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    *(["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []),
]


def find():
    """Return the path of a Chromium: `$CHROMIUM`, one on the path, or Playwright's own; None if there is none."""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    candidates = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), own]
    return next((path for path in candidates if path and Path(path).exists()), None)


def install():
    """Install Debian's package where that is allowed, else Playwright's build; problems show in `find`."""
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and subprocess.run([*sudo, "true"], check=False).returncode == 0:
        packages = ["chromium-headless-shell", "fonts-liberation"]
        subprocess.run([*sudo, "apt-get", "update", "-qq"], check=False)
        subprocess.run([*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=False)
    if find() is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    if find() is None:
        install()
    if find() is None:
        message = "No Chromium found and none could be installed. Install one, or set CHROMIUM to its path."
        sys.exit(message if os.environ.get("CI") else print(message, "The browser tests will be skipped."))
    print("Chromium:", find())
