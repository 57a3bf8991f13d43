# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Which directories, files and links to write or remove. Pure: what is on the disk is handed in as FileState."""

from __future__ import annotations

import hashlib
import posixpath
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("ABSENT", "HIDDEN", "FilePlan", "FileState", "Step", "Wanted", "plan_files", "staged_path")


@dataclass(frozen=True)
class FileState:
    """What is at a path. kind: absent, file, directory, link or other."""

    kind: str
    mode: int = 0
    sha256: str = ""
    target: str = ""
    text: str = ""


ABSENT = FileState("absent")
HIDDEN = "hidden"


@dataclass(frozen=True)
class Wanted:
    """What shall be at a path. A file has `content`, or else its bytes come from the controller and `sha256` names them.

    `hidden_if` finds a secret in its text, in that which is there as in that which shall be there.
    """

    kind: str
    path: str
    mode: int = 0
    sha256: str = ""
    content: str | None = None
    secret: bool = False
    hidden_if: str = ""
    staging: str = ""
    target: str = ""
    yields: bool = False

    @property
    def wanted_sha256(self) -> str:
        return self.sha256 if self.content is None else hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True)
class Step:
    """verb: mkdir, write, install (from a staged file), mode, link or remove."""

    verb: str
    path: str
    wanted: Wanted | None = None


@dataclass(frozen=True)
class FilePlan:
    steps: tuple[Step, ...]
    diffs: tuple[dict[str, str], ...]
    # What files will hold, by path, as sums: HIDDEN in place of a secret's, None for a file that goes.
    contents: t.Mapping[str, str | None] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.steps)

    @property
    def installs(self) -> list[Wanted]:
        """Files whose bytes have to come from the controller."""
        return [step.wanted for step in self.steps if step.verb == "install" and step.wanted]


def staged_path(wanted: Wanted) -> str:
    """Where the bytes of a file arrive: on its file system, under a name that no watcher of its directory takes for the file."""
    directory, name = posixpath.split(wanted.path)
    return posixpath.join(wanted.staging or directory, f".{name}.{wanted.sha256[:12]}.part")


def _describe(state: FileState, secret: bool) -> str:
    if state.kind == "absent":
        return ""
    if state.kind == "link":
        return f"link to {state.target}\n"
    if state.kind == "directory":
        return f"directory, mode {state.mode:04o}\n"
    text = state.text if state.text and not secret else f"sha256 {HIDDEN if secret else state.sha256}\n"
    return f"mode {state.mode:04o}\n{text}"


def _diff(path: str, before: FileState, after: FileState, secret: bool) -> dict[str, str]:
    hidden_change = secret and before.kind == after.kind == "file" and before.sha256 != after.sha256
    return {
        "before_header": path,
        "after_header": path,
        "before": _describe(before, secret),
        "after": _describe(after, secret) + ("(its secret content changes)\n" if hidden_change else ""),
    }


def _is_secret(wanted: Wanted, state: FileState) -> bool:
    """A text without a secret may take the place of one that has it: either hides both."""
    texts = (state.text, wanted.content or "") if wanted.hidden_if else ()
    return wanted.secret or any(re.search(wanted.hidden_if, text) for text in texts)


def _after(wanted: Wanted) -> FileState:
    return FileState(
        wanted.kind,
        wanted.mode,
        wanted.wanted_sha256 if wanted.kind == "file" else "",
        wanted.target,
        wanted.content or "",
    )


def _step(wanted: Wanted, state: FileState) -> str | None:
    """The verb that brings a path to what is wanted, or None when it is right."""
    if state.kind not in ("absent", wanted.kind) and not (wanted.kind == "file" and state.kind == "link"):
        if wanted.yields:
            return None
        raise AirgapError(
            f"{wanted.path} is a {state.kind} where a {wanted.kind} belongs. Move it away, then run this again."
        )
    if wanted.kind == "link":
        yields = wanted.yields and state.kind != "absent"
        return None if state.target == wanted.target or yields else "link"
    if wanted.kind == "file" and (state.kind != "file" or state.sha256 != wanted.wanted_sha256):
        return "write" if wanted.content is not None else "install"
    if state.kind == "absent":
        return "mkdir"
    return None if state.mode == wanted.mode else "mode"


def plan_files(
    wanted: t.Sequence[Wanted], states: t.Mapping[str, FileState], superseded: t.Iterable[str] = ()
) -> FilePlan:
    """`superseded` are paths to be removed unless they are wanted."""
    steps: list[Step] = []
    diffs: list[dict[str, str]] = []
    contents: dict[str, str | None] = {}
    for item in wanted:
        state = states.get(item.path, ABSENT)
        verb = _step(item, state)
        if verb:
            secret = _is_secret(item, state)
            steps.append(Step(verb, item.path, item))
            diffs.append(_diff(item.path, state, _after(item), secret))
        if verb in ("write", "install"):
            contents[item.path] = HIDDEN if secret else item.wanted_sha256
    kept = {item.path for item in wanted}
    for path in sorted(set(superseded) - kept):
        steps.append(Step("remove", path))
        diffs.append(_diff(path, states.get(path, ABSENT), ABSENT, secret=True))
        contents[path] = None
    return FilePlan(tuple(steps), tuple(diffs), contents)
