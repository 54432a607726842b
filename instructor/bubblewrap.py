"""Find bubblewrap, the sandbox of the grader, and install it where there is none: `python -m instructor.bubblewrap`."""

import os
import shutil
import subprocess
import sys


def find():
    """Return the path of bubblewrap, or None."""
    return shutil.which("bwrap")


def install():
    """Install Debian's package where that is allowed; problems show in `find`."""
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and subprocess.run([*sudo, "true"], check=False).returncode == 0:
        subprocess.run([*sudo, "apt-get", "update", "-qq"], check=False)
        packages = ["--no-install-recommends", "bubblewrap"]
        subprocess.run([*sudo, "apt-get", "install", "-y", "-qq", *packages], check=False)


def problem():
    """Return why no sandbox can be made here, or None."""
    if find() is None:
        return "bubblewrap is not installed"
    line = [find(), "--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "true"]
    tried = subprocess.run(line, capture_output=True, text=True, check=False)
    return f"bubblewrap does not work here: {tried.stderr.strip()}" if tried.returncode else None


HELP = (
    "Install it (apt install bubblewrap), allow user namespaces (Ubuntu: an AppArmor profile for bwrap), "
    "or grade inside a container with --no-sandbox: see instructor/README.md."
)

if __name__ == "__main__":
    if find() is None:
        install()
    if found := problem():
        message = f"{found}. {HELP}"
        sys.exit(message if os.environ.get("CI") else print(message, "The tests of the grader will be skipped."))
    print("bubblewrap:", find())
