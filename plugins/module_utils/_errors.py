# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""The one exception base: what a module's main() catches and reports through fail_json."""

from __future__ import annotations

import typing as t

__all__ = ("AirgapError", "CommandFailed")


class AirgapError(Exception):
    """Something a user can act on. The message names the thing, the place and the way out; details go beside it."""

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.details = details


class CommandFailed(AirgapError):
    """A command of the node ended with an exit code other than 0."""

    def __init__(self, cmd: t.Sequence[str], rc: int, stderr: str) -> None:
        super().__init__(
            f"{' '.join(cmd)} failed with exit code {rc}: {stderr.strip()}", cmd=list(cmd), rc=rc, stderr=stderr
        )
