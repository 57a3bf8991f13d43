# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller half of the module node_files: sends the files of which the node has no bytes."""

from __future__ import annotations

import shlex
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

PIECE_SIZE = 16 * 1024 * 1024


def pieces(path: str) -> t.Iterator[bytes]:
    with Path(path).open("rb") as file:
        while piece := file.read(PIECE_SIZE):
            yield piece


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        args = dict(self._task.args)
        sources = {item["path"]: item["source"] for item in args.get("files") or [] if item.get("source")}
        absent = [source for source in sources.values() if not Path(source).is_file()]
        if absent:
            raise AnsibleActionFail(
                f"{', '.join(absent)} is not on the controller. Make the bundle, or set the path of the one that you have."
            )
        answer = self._module(args, task_vars)
        if answer["missing"] and not self._task.check_mode:
            first, sent = answer, 0
            for item in first["missing"]:
                sent += self._send(sources[item["path"]], item["staged"])
            answer = self._module(args, task_vars)
            if answer["missing"]:
                raise AnsibleActionFail(
                    f"{answer['missing'][0]['staged']} is gone from the node right after it was sent. Does something clean that directory?"
                )
            # The first half has made directories already: what it planned is the whole story.
            planned: dict[str, t.Any] = {key: first[key] for key in ("actions", "contents", "diff") if key in first}
            answer.update(planned, changed=True, bytes_sent=sent)
        result.update(answer)
        return result

    def _module(self, args: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = self._execute_module(module_args=args, task_vars=task_vars)
        if answer.get("failed"):
            raise AnsibleActionFail(answer.get("msg", "node_files failed"), result=answer)
        return answer

    def _send(self, source: str, staged: str) -> int:
        """Writes it piece by piece: memory stays small, and no second copy lies in a remote temporary directory."""
        sent = 0
        name = shlex.quote(f"{staged}.sending")
        for piece in pieces(source):
            redirect = ">>" if sent else ">"
            self._command(f"umask 077; cat {redirect}{name}", piece, source)
            sent += len(piece)
        self._command(f"mv -f {name} {shlex.quote(staged)}", b"\n", source)
        return sent

    def _command(self, command: str, data: bytes, source: str) -> None:
        answer = self._low_level_execute_command(command, in_data=data)
        if answer["rc"] != 0:
            raise AnsibleActionFail(
                f"{source} could not be sent to the node: {answer['stderr'].strip()}. Run this again once that is mended."
            )
