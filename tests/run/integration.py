"""Integration tests: each target's tasks through ansible-playbook against real servers, then the pytest files, then those of the images."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.run import images, servers
from tests.run.bundle import ensure_bundle
from tests.run.edge import edge_node
from tests.run.process import LOGS, ROOT, VENV, call, report, side_by_side, tool_env
from tests.run.pythons import CONTROLLER, NODE_PYTHONS, find_python, make_env
from tests.run.report import Tally, say
from tests.run.s3 import s3_python
from tests.run.tallies import pytest_tally

__all__ = ("own_names", "run")

HERE = ROOT / "tests/integration"
TARGETS = HERE / "targets"
WORK = ROOT / "build/tests/integration"
# what the aliases of a target say, for files
FILES_NEED = {"test_galaxy.py": {"node"}}
# Two runs at once would meet on the servers' ports.
_servers = threading.Lock()


def needs(target: str) -> set[str]:
    aliases = TARGETS / target / "aliases"
    lines = aliases.read_text().split() if aliases.exists() else []
    return {line.removeprefix("needs/") for line in lines if line.startswith("needs/")}


def targets() -> list[str]:
    return sorted(path.parent.parent.name for path in TARGETS.glob("*/tasks/main.yml"))


def files() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in HERE.glob("test_*.py"))


def own_names() -> list[str]:
    """All but the tests of the images."""
    return [*targets(), *files()]


def run(only: list[str]) -> Tally:
    with _servers:
        return _run(only)


def _run(only: list[str]) -> Tally:
    names = [name for name in targets() if not only or name in only]
    paths = [path for path in files() if not only or path in only]
    of_images = [path for path in only or images.test_folders("integration") if path.startswith("images/")]
    wanted = _wanted(names, paths, of_images)
    tally = Tally()
    with _work() as work, contextlib.ExitStack() as stack:
        variables = {"repository": str(ROOT), "bundle": str(servers.BUNDLE)}
        if wanted:
            ensure_bundle()
        for server in _servers_of(wanted, work, lambda: tally.failed > 0):
            variables |= stack.enter_context(server)
        tally += sum(side_by_side(_groups(names, paths, work, variables)), Tally())
        if of_images:
            tally += images.integration(of_images, work, variables, servers.redis_program(work))
    return tally


def _groups(names: list[str], paths: list[str], work: Path, variables: dict[str, str]) -> list[Callable[[], Tally]]:
    """Those that share a server one after the other; they mostly wait for it, so groups can go side by side."""
    groups: dict[str, list[Callable[[], Tally]]] = {}
    python = _node_python() if names else Path()
    for name in names:
        server = "cluster" if needs(name) & {"kube", "node"} else " ".join(sorted(needs(name)))
        own = {**variables, "work_dir": str(work / name)}
        groups.setdefault(server, []).append(functools.partial(_target, name, work, own, python))
    if paths:
        groups["files"] = [functools.partial(_pytest, paths, work, variables)]
    return [functools.partial(_one_after_the_other, group) for group in groups.values()]


def _one_after_the_other(group: list[Callable[[], Tally]]) -> Tally:
    return sum((start() for start in group), Tally())


def _wanted(names: list[str], paths: list[str], of_images: list[str]) -> set[str]:
    wanted = set().union(*map(needs, names), *(FILES_NEED.get(Path(path).name, set()) for path in paths))
    if of_images:
        wanted |= {"postgresql", "redis"}
    if any(path.startswith("images/mindsdb/") for path in of_images):
        wanted.add("mindsdb")
    return wanted


def _servers_of(
    wanted: set[str], work: Path, failed: Callable[[], bool]
) -> Iterator[contextlib.AbstractContextManager[dict[str, Any]]]:
    """Each yields its variables once it answers, and is ended afterwards."""
    if "postgresql" in wanted:
        yield servers.postgresql(work)
    if "minio" in wanted:
        yield servers.minio(work, s3_python())
    if wanted & {"kube", "node"}:
        yield edge_node(work, failed)
    if "mindsdb" in wanted:
        yield servers.mindsdb(work)


@contextlib.contextmanager
def _work() -> Iterator[Path]:
    """A private folder: it holds this run's passwords."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    # 0711 and not 0700: the servers' own users pass through it to the one file that is theirs
    WORK.chmod(0o711)
    try:
        yield WORK
    finally:
        shutil.rmtree(WORK, ignore_errors=True)


def _node_python() -> Path:
    """The modules run with the node's own pins, on the oldest Python of a node that this machine has."""
    found = ((version, find_python(version)) for version in NODE_PYTHONS)
    version, python = next(((v, p) for v, p in found if p), (CONTROLLER, VENV / "bin/python"))
    say(f"integration  modules run on Python {version} with the packages of the bundle's wheelhouse")
    return make_env(f"node-{version}", python, [ROOT / "playbooks/files/requirements-node.txt"])


def _target(name: str, work: Path, variables: dict[str, str], python: Path) -> Tally:
    folder = Path(variables["work_dir"])
    folder.mkdir(mode=0o700)
    on_node = "node" in needs(name)
    if not on_node:
        variables = {**variables, "ansible_python_interpreter": str(python)}
    (folder / "vars.json").touch(0o600)
    (folder / "vars.json").write_text(json.dumps(variables))
    play = {
        "name": f"Integration test of {name}",
        "hosts": "edge1" if on_node else "localhost",
        "gather_facts": False,
        "roles": [{"role": name}],
    }
    playbook = folder / "play.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False))
    inventory = str(ROOT / "molecule/shared/inventory") if on_node else "localhost,"
    connection = [] if on_node else ["--connection=local"]
    env = tool_env(ANSIBLE_ROLES_PATH=str(TARGETS), PATH=f"{work / 'bin'}:{tool_env()['PATH']}")
    argv = ["ansible-playbook", "--diff", f"--inventory={inventory}", *connection, f"--extra-vars=@{folder}/vars.json"]
    done = call(f"integration {name}", [*argv, str(playbook)], env=env)
    report("integration", done)
    return Tally(1) if done.rc == 0 else Tally(failures=(f"integration target {name}",))


def _pytest(paths: list[str], work: Path, variables: dict[str, str]) -> Tally:
    values = work / "variables.json"
    values.touch(0o600)
    values.write_text(json.dumps(variables))
    argv = [str(VENV / "bin/python"), "-m", "pytest", "-c", "tests/pytest.ini", "-q", "-p", "no:cacheprovider", *paths]
    done = call("integration pytest", argv, env=tool_env(INTEGRATION_VARIABLES=str(values), TMPDIR=str(LOGS)))
    report("integration", done)
    return pytest_tally(done)
