# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Feed a command on the node from the controller, piece by piece, and nothing touches a disk on the way.

A connection plugin sends a file (which then lies on the node a second time) or one string (which lies in memory). So the
command reads from a FIFO under /run, and each piece is one more `cat` into it. The receiver knows how many bytes
will come: it ends by itself after those, after its time limit, or when the next run finds it left behind.
"""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("PIECE_SIZE", "CommandResult", "RemotePipe")

PIECE_SIZE = 16 * 1024 * 1024
_PREFIX = "pipe=/run/"

# A receiver of a run that was cut off still holds containerd's locks on the blobs it was given: end it first.
_START = r"""
set -eu
umask 077
for old in /run/airgap-mlops-pipe.*; do
  [ -f "$old/pid" ] || continue
  if tr '\0' ' ' <"/proc/$(cat "$old/pid")/cmdline" 2>/dev/null | grep -qF "$old"; then kill -- "-$(cat "$old/pid")" || :; fi
  rm -rf "$old"
done
dir=$(mktemp -d /run/airgap-mlops-pipe.XXXXXX)
mkfifo "$dir/in"
cat >"$dir/receive" <<'END'
cd "$1"; size=$2; limit=$3; shift 3
echo $$ >pid
# Opened for reading and writing (<>), the FIFO has no end of file between two pieces.
# When the command ends early the rest is read away, so that no writer hangs.
{ timeout --foreground "$limit" head -c "$size" <>in || : >late; } | { "$@" >out 2>&1; echo $? >rc; cat >/dev/null; }
if [ -e late ]; then rm -rf "$PWD"; fi
END
setsid sh "$dir/receive" "$dir" SIZE LIMIT COMMAND </dev/null >/dev/null 2>&1 &
echo "pipe=$dir"
"""

_FEED = """cd DIR && test -p in && if test -s rc; then cat >/dev/null; else cat >in; fi"""

_FINISH = r"""
cd DIR
while [ ! -s rc ] && [ -e in ]; do sleep 0.1; done
[ -s rc ] || { echo "the receiver ended without a result" >&2; exit 1; }
tail -c 4000 out
status=$(cat rc)
[ ! -f pid ] || kill -- "-$(cat pid)" 2>/dev/null || :
rm -rf DIR
exit "$status"
"""


@dataclass(frozen=True)
class CommandResult:
    rc: int
    output: str


class RemotePipe:
    """`execute(command, input)` runs a shell command on the node and returns rc, stdout and stderr."""

    def __init__(self, execute: t.Callable[[str, bytes], t.Mapping[str, t.Any]], limit: int) -> None:
        self._execute = execute
        self._limit = limit

    def _run(self, script: str, what: str) -> str:
        answer = self._execute("/bin/sh -s", script.encode())
        if answer["rc"] != 0:
            raise AirgapError(f"{what} failed on the node with exit code {answer['rc']}: {answer['stderr'].strip()}")
        return str(answer["stdout"])

    def run(self, command: t.Sequence[str], pieces: t.Iterable[bytes], size: int) -> CommandResult:
        """Run `command` with the pieces, `size` bytes in all, as its standard input."""
        script = _START.replace("SIZE", str(size)).replace("LIMIT", str(self._limit))
        started = self._run(script.replace("COMMAND", shlex.join(command)), "Setting up a pipe under /run")
        directory = next((line.removeprefix("pipe=") for line in started.splitlines() if line.startswith(_PREFIX)), "")
        if not directory:
            raise AirgapError(f"Setting up a pipe under /run on the node gave no path, but: {started.strip()!r}")
        feed = _FEED.replace("DIR", directory)
        for piece in pieces:
            answer = self._execute(feed, piece)
            if answer["rc"] != 0:
                raise AirgapError(
                    f"The node stopped taking data for {command[0]}: {answer['stderr'].strip()}. Run it again: what arrived is kept."
                )
        answer = self._execute("/bin/sh -s", _FINISH.replace("DIR", directory).encode())
        return CommandResult(answer["rc"], f"{answer['stdout']}{answer['stderr']}".strip())
