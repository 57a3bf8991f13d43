"""`make setup`: bring this machine to where the demo and the tests run. Done work is seen from its result, and costs no time again.

Uses the standard library alone, since it makes the virtual environment that everything else runs in.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.setup.environments import environment, link
from tests.setup.packages import SetupError, install_packages

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ROOT / "build/collections/ansible_collections/airgap/mlops"


def link_collection() -> None:
    """ansible finds the checkout under the collection's name."""
    target = "../../../.."
    if COLLECTION.is_symlink() and COLLECTION.readlink() == Path(target):
        return
    COLLECTION.parent.mkdir(parents=True, exist_ok=True)
    COLLECTION.unlink(missing_ok=True)
    COLLECTION.symlink_to(target)


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one shall read why
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            f"setup: Python 3.11 or newer is needed, {sys.executable} is {found}; choose another with `make PYTHON=…`",
            file=sys.stderr,
        )
        return 1
    try:
        install_packages(ROOT / "tests/setup/debian-packages.txt")
        controller = environment(
            "controller",
            sys.executable,
            [ROOT / "requirements.txt", ROOT / "tests/requirements.txt"],
            [ROOT / "tests/constraints.txt"],
        )
        link(ROOT / "build/venv", controller)
        link_collection()
    except SetupError as exc:
        print(f"setup: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
