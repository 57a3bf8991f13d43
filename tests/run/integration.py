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

from tests.demo.bundle import BUNDLE
from tests.run import images, servers
from tests.run.bundle import ensure_bundle
from tests.run.edge import edge_node
from tests.run.process import LOGS, ROOT, VENV, call, report, side_by_side, tool_env
from tests.run.pythons import CONTROLLER, NODE_PYTHONS, find_python, make_env
from tests.run.report import Tally, say
from tests.run.s3 import s3_python
from tests.run.tallies import pytest_tally

__all__ = ("all_names", "names", "run")

HERE = ROOT / "tests/integration"
TARGETS = HERE / "targets"
WORK = ROOT / "build/tests/integration"
# what the aliases of a target say, for files
FILES_NEED = {"test_galaxy.py": {"node"}}
ON_CLUSTER = {"kube", "node"}
# Two runs at once would meet on the servers' ports; the cluster has none on this machine.
_ports = threading.Lock()


def needs(name: str) -> set[str]:
    """Of a target, or of a file."""
    aliases = TARGETS / name / "aliases"
    lines = aliases.read_text().split() if aliases.exists() else []
    said = {line.removeprefix("needs/") for line in lines if line.startswith("needs/")}
    return said | FILES_NEED.get(Path(name).name, set())


def targets() -> list[str]:
    return sorted(path.parent.parent.name for path in TARGETS.glob("*/tasks/main.yml"))


def files() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in HERE.glob("test_*.py"))


def names(*, on_cluster: bool) -> list[str]:
    """The tests that use the edge node's cluster, or all others: targets, files, folders of images."""
    there = [name for name in (*targets(), *files()) if needs(name) & ON_CLUSTER]
    return there if on_cluster else sorted({*targets(), *files(), *images.test_folders("integration")} - {*there})


def all_names() -> list[str]:
    return [*names(on_cluster=True), *names(on_cluster=False)]


def run(only: list[str]) -> Tally:
    chosen = only or all_names()
    own = [name for name in targets() if name in chosen]
    paths = [path for path in files() if path in chosen]
    of_images = [path for path in chosen if path.startswith("images/")]
    wanted = _wanted(own, paths, of_images)
    on_ports = wanted - ON_CLUSTER
    with _ports if on_ports else contextlib.nullcontext(), _work("servers" if on_ports else "cluster") as work:
        return _run(own, paths, of_images, wanted, work)


def _run(own: list[str], paths: list[str], of_images: list[str], wanted: set[str], work: Path) -> Tally:
    tally = Tally()
    with contextlib.ExitStack() as stack:
        variables = {"repository": str(ROOT), "bundle": str(BUNDLE)}
        if wanted:
            ensure_bundle()
        for server in _servers_of(wanted, work, lambda: tally.failed > 0):
            variables |= stack.enter_context(server)
        tally += sum(side_by_side(_groups(own, paths, work, variables)), Tally())
        if of_images:
            tally += images.integration(of_images, work, variables, servers.redis_program(work))
    return tally


def _groups(names: list[str], paths: list[str], work: Path, variables: dict[str, str]) -> list[Callable[[], Tally]]:
    """Those that share a server one after the other; they mostly wait for it, so groups can go side by side."""
    groups: dict[str, list[Callable[[], Tally]]] = {}
    python = _node_python() if names else Path()
    for name in names:
        server = "cluster" if needs(name) & ON_CLUSTER else " ".join(sorted(needs(name)))
        own = {**variables, "work_dir": str(work / name)}
        groups.setdefault(server, []).append(functools.partial(_target, name, work, own, python))
    if paths:
        groups["files"] = [functools.partial(_pytest, paths, work, variables)]
    return [functools.partial(_one_after_the_other, group) for group in groups.values()]


def _one_after_the_other(group: list[Callable[[], Tally]]) -> Tally:
    return sum((start() for start in group), Tally())


def _wanted(names: list[str], paths: list[str], of_images: list[str]) -> set[str]:
    wanted = set().union(*map(needs, [*names, *paths]))
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
    if wanted & ON_CLUSTER:
        yield edge_node(work, failed)
    if "mindsdb" in wanted:
        yield servers.mindsdb(work)


@contextlib.contextmanager
def _work(name: str) -> Iterator[Path]:
    """A private folder: it holds this run's passwords."""
    work = WORK / name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    # 0711 and not 0700: the servers' own users pass through it to the one file that is theirs
    work.chmod(0o711)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


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
    inventory = str(ROOT / "molecule/shared/inventory/edge1.yml") if on_node else "localhost,"
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
    done = call(
        f"integration pytest {work.name}", argv, env=tool_env(INTEGRATION_VARIABLES=str(values), TMPDIR=str(LOGS))
    )
    report("integration", done)
    return pytest_tally(done)
