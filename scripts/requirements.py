"""Say in one sentence what is missing on this machine, before anything is installed. Runs on any Python 3."""

import shutil
import subprocess
import sys


def missing() -> "str | None":
    """The first thing that is missing, as a sentence, or None."""
    if sys.version_info < (3, 11):
        return "Python 3.11 or newer is needed, this is {}.{}: set PYTHON=python3.11.".format(*sys.version_info)
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "Node.js 20 or newer with npm is needed, and is not on the PATH: install it from your system's packages."
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 20:
        return "Node.js 20 or newer is needed, this is {}.".format(version)
    try:
        import venv  # noqa: F401
    except ImportError:
        return "Python's venv module is needed: install your system's python3-venv package."
    return None


if __name__ == "__main__":
    sys.exit(missing())
