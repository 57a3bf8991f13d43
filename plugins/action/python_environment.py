# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller half of the module python_environment: reads the bundle, plans, and sends the wheels that are missing."""

from __future__ import annotations

import io
import shlex
import tarfile
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.airgap.mlops.plugins.module_utils._bundle import read_manifest
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.plugin_utils._oci_stream import rechunk
from ansible_collections.airgap.mlops.plugins.plugin_utils._remote_pipe import PIECE_SIZE
from ansible_collections.airgap.mlops.plugins.plugin_utils._wheels import (
    EnvironmentPlan,
    NodePython,
    parse_requirements,
    plan_environment,
)

_WHEELS = "wheels/"
_UNPACK = "import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall(sys.argv[1])"


def node_python(answer: t.Mapping[str, t.Any]) -> NodePython:
    version = tuple(answer["version"])
    if answer["implementation"] != "cpython" or version < (3, 9) or not answer["glibc"]:
        libc = "glibc" if answer["glibc"] else "another libc than glibc"
        raise AirgapError(
            f"the node's Python is {answer['implementation']} {'.'.join(map(str, version))} with {libc}; "
            "the bundle's wheels need CPython 3.9 or later with glibc. Install one and set ansible_python_interpreter to it.",
        )
    return NodePython((version[0], version[1], version[2]), answer["machine"], (answer["glibc"][0], answer["glibc"][1]))


def wheels_as_tar(directory: Path, names: t.Iterable[str]) -> bytes:
    """One archive: wheels are many and small, and each would cost two round trips."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.add(directory / name, arcname=name, filter=_anonymous)
    return buffer.getvalue()


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        if args.get("plan") is not None or not args.get("bundle"):
            raise AnsibleActionFail(
                "python_environment: bundle is required, the path of a bundle on the controller; plan cannot be given."
            )
        try:
            result.update(self._converge(args, task_vars))
        except AirgapError as exc:
            raise AnsibleActionFail(str(exc), result=exc.details) from exc
        return result

    def _converge(self, args: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        bundle = Path(str(args["bundle"]))
        found = self._module(args, task_vars)
        plan, sums = self._plan(bundle, found)
        found.update(changed=plan.changed, actions=plan.actions)
        if self._task.diff:
            found["diff"] = plan.diff
        if not plan.changed or self._task.check_mode:
            return found
        staging, sent = self._send(bundle, plan, found["python"]["executable"])
        steps = {
            "wanted": plan.wanted,
            "wheels": {name: sums[name] for name in plan.wheels},
            "removals": list(plan.removals),
            "rebuild": plan.rebuild,
            "staging": staging,
        }
        done = self._module({**args, "plan": steps}, task_vars)
        return {**found, "installed": done["installed"], "usable": done["usable"], "bytes_sent": sent}

    def _module(self, args: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = self._execute_module(module_args=args, task_vars=task_vars)
        if answer.get("failed"):
            raise AnsibleActionFail(answer.get("msg", "python_environment failed"), result=answer)
        return answer

    @staticmethod
    def _plan(bundle: Path, found: dict[str, t.Any]) -> tuple[EnvironmentPlan, dict[str, str]]:
        manifest = read_manifest(str(bundle))
        sums = {
            file.path.removeprefix(_WHEELS): file.sha256 for file in manifest.files if file.path.startswith(_WHEELS)
        }
        try:
            requirements = (bundle / _WHEELS / "requirements.txt").read_text(encoding="utf-8")
        except OSError as exc:
            raise AirgapError(
                f"{bundle}/{_WHEELS}requirements.txt cannot be read: {exc.strerror}. Make the bundle again."
            ) from exc
        node = node_python(found["python"])
        # pip is the tool, run from its wheel and never installed.
        wanted = {name: version for name, version in parse_requirements(requirements, node).items() if name != "pip"}
        plan = plan_environment(
            wanted=wanted, installed=found["installed"], usable=found["usable"], filenames=sorted(sums), node=node
        )
        return plan, sums

    def _send(self, bundle: Path, plan: EnvironmentPlan, python: str) -> tuple[str, int]:
        try:
            archive = wheels_as_tar(bundle / _WHEELS, plan.wheels)
        except OSError as exc:
            raise AirgapError(f"{exc.filename} cannot be read: {exc.strerror}. Copy the bundle again.") from exc
        staging = (
            self._command("rm -rf /var/tmp/airgap-mlops-wheels.*; mktemp -d /var/tmp/airgap-mlops-wheels.XXXXXX", b"\n")
            .strip()
            .splitlines()[-1]
        )
        packed = shlex.quote(f"{staging}/wheels.tar")
        for piece in rechunk([archive], PIECE_SIZE):
            self._command(f"cat >>{packed}", piece)
        self._command(
            f"{shlex.quote(python)} -c {shlex.quote(_UNPACK)} {shlex.quote(staging)} <{packed} && rm {packed}", b"\n"
        )
        return staging, len(archive)

    def _command(self, command: str, data: bytes) -> str:
        answer = self._low_level_execute_command(command, in_data=data)
        if answer["rc"] != 0:
            raise AirgapError(
                f"The wheels could not be sent to the node: {answer['stderr'].strip()}. Run this again once that is mended."
            )
        return str(answer["stdout"])
