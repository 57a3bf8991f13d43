"""Every linter, two at a time, each with its time."""

from __future__ import annotations

from collections.abc import Callable

from tests.run.images import env_python
from tests.run.process import ROOT, call, report, side_by_side, tool_env, tracked_files
from tests.run.pythons import CONTROLLER
from tests.run.report import Tally
from tests.run.sanity import COPY, copy_collection, run_sanity
from tests.setup.cache import CACHE

__all__ = ("names", "run")

COLLECTION = "build/collections/ansible_collections/airgap/mlops"
NODE_CODE = ("plugins/modules", "plugins/module_utils")
# dependent, not all: the latter reads the docs of each collection in the ansible package, for 6 minutes
DOCS_FLAGS = (
    "--plugin-docs", "--skip-rstcheck", "--validate-collection-refs=dependent",
    "--disallow-unknown-collection-refs", "--check-extra-docs-refs",
)  # fmt: skip


def run(only: list[str]) -> Tally:
    # the slowest first, so that the short ones fill the gaps
    chosen = {name: start for name, start in _linters().items() if not only or name in only}
    copy_collection(COPY)  # for the two tools that cannot read a collection through a symlink
    return sum(side_by_side(list(chosen.values()), most=2), Tally())


def names() -> list[str]:
    return list(_linters())


def _linters() -> dict[str, Callable[[], Tally]]:
    return {
        "sanity": run_sanity,
        "ansible-lint": _tool("ansible-lint", "ansible-lint", "--offline"),
        "mypy-node": _tool("mypy of node code", *_mypy("3.10"), *(f"{COLLECTION}/{path}" for path in NODE_CODE)),
        "mypy": _mypy_controller,
        "mypy-images": _mypy_images,
        "ruff": _tool("ruff check", "ruff", "check"),
        "ruff-format": _tool("ruff format", "ruff", "format", "--check"),
        "yamllint": _tool("yamllint", "yamllint", "--strict", "."),
        "shellcheck": _shellcheck,
        "docs": _tool("antsibull-docs", "antsibull-docs", "lint-collection-docs", *DOCS_FLAGS, str(COPY)),
        "changelog": _tool("antsibull-changelog", "antsibull-changelog", "lint"),
    }


def _tool(name: str, *argv: str, **env: str) -> Callable[[], Tally]:
    def start() -> Tally:
        done = call(name, argv, env=tool_env(**env), patient=True)
        report("lint", done)
        return Tally(1) if done.rc == 0 else Tally(failures=(name,))

    return start


def _mypy(version: str) -> list[str]:
    # one cache a version: the two would otherwise throw each other's away
    return ["mypy", "--python-version", version, "--cache-dir", str(CACHE / "mypy" / version)]


def _mypy_controller() -> Tally:
    """What runs on the controller. Plugins come by the collection's name, as they are imported; tests and examples by theirs."""
    plugins = [
        f"{COLLECTION}/plugins/{name}" for name in ("action", "callback", "doc_fragments", "filter", "plugin_utils")
    ]
    own = [
        str(path)
        for path in tracked_files("tests/**/*.py", "examples/*.py", "molecule/shared/**/*.py")
        if "targets" not in path.parts
    ]
    present = [path for path in plugins if any((ROOT / path).glob("*.py"))]
    return _tool("mypy of controller code and tests", *_mypy(CONTROLLER), *present, *own)()


def _mypy_images() -> Tally:
    """What runs in images, theirs and what roles bring into them, with the packages that it finds there."""
    python = env_python()
    if python is None:
        return Tally(notes=("no Python of the images here, their code was not type-checked",))
    flags = [
        "--config-file",
        "images/mypy.ini",
        "--cache-dir",
        str(CACHE / "mypy/images"),
        "--python-executable",
        str(python),
    ]
    inside = ("images/**/*.py", "roles/*/files/*.py", "molecule/*/files/*.py", ":!molecule/shared")
    own = [str(path) for path in tracked_files(*inside)]
    return _tool("mypy of image code", "mypy", *flags, *own)()


def _shellcheck() -> Tally:
    """Scripts by their first line, wherever they are and whatever they are called."""
    scripts = []
    for path in tracked_files(":!*.j2"):
        with (ROOT / path).open("rb") as file:
            first = file.readline(64)
        if first.startswith(b"#!") and first.split(b"/")[-1].split()[-1] in (b"sh", b"bash", b"dash"):
            scripts.append(str(path))
    return _tool("shellcheck", "shellcheck", *scripts)() if scripts else Tally()
