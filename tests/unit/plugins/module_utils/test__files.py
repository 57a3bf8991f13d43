from __future__ import annotations

import hashlib

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._files import (
    ABSENT,
    FileState,
    Wanted,
    plan_files,
    staged_path,
)

TEXT = Wanted("file", "/etc/x.yaml", 0o600, content="a: 1\n")
HUSH = Wanted("file", "/etc/token", 0o600, content="secret", secret=True)
LARGE = Wanted("file", "/data/images/x.tar", 0o644, sha256="5" * 64, staging="/data")
LINK = Wanted("link", "/bin/kubectl", target="k3s", yields=True)
FOLDER = Wanted("directory", "/etc/d", 0o700)


def text_state(text: str, mode: int = 0o600) -> FileState:
    return FileState("file", mode, hashlib.sha256(text.encode()).hexdigest(), text=text)


@pytest.mark.parametrize(
    ("wanted", "state", "verb"),
    [
        pytest.param(TEXT, ABSENT, "write", id="text is missing"),
        pytest.param(TEXT, text_state("a: 2\n"), "write", id="text differs"),
        pytest.param(TEXT, text_state("a: 1\n", 0o644), "mode", id="only the mode differs"),
        pytest.param(TEXT, text_state("a: 1\n"), None, id="text is right"),
        pytest.param(TEXT, FileState("link", target="/elsewhere"), "write", id="a link is replaced by the file"),
        pytest.param(LARGE, ABSENT, "install", id="bytes are missing"),
        pytest.param(LARGE, FileState("file", 0o644, "5" * 64), None, id="bytes are right"),
        pytest.param(LINK, ABSENT, "link", id="link is missing"),
        pytest.param(LINK, FileState("link", target="k3s"), None, id="link is right"),
        pytest.param(LINK, FileState("link", target="other"), None, id="a link of somebody else stays"),
        pytest.param(LINK, FileState("file", 0o755), None, id="a program of somebody else stays"),
        pytest.param(FOLDER, ABSENT, "mkdir", id="directory is missing"),
        pytest.param(FOLDER, FileState("directory", 0o755), "mode", id="directory has another mode"),
    ],
)
def test_step(wanted: Wanted, state: FileState, verb: str | None) -> None:
    plan = plan_files([wanted], {wanted.path: state})
    assert [step.verb for step in plan.steps] == ([verb] if verb else [])
    assert len(plan.diffs) == len(plan.steps)


def test_a_directory_in_the_way_is_named() -> None:
    with pytest.raises(AirgapError, match=r"/etc/x\.yaml is a directory where a file belongs"):
        plan_files([TEXT], {TEXT.path: FileState("directory", 0o755)})


def test_no_secret_in_a_diff_and_yet_a_change_shows() -> None:
    (diff,) = plan_files([HUSH], {HUSH.path: text_state("older")}).diffs
    assert "secret" not in diff["after"].replace("its secret content changes", "")
    assert "older" not in diff["before"]
    assert diff["before"] != diff["after"]
    assert HUSH.wanted_sha256 not in str(diff)


@pytest.mark.parametrize(
    ("before", "after", "hidden"),
    [
        pytest.param("token: older\n", "token: newer\n", True, id="before and after"),
        pytest.param("token: older\n", "a: visible\n", True, id="before"),
        pytest.param("a: visible\n", "token: newer\n", True, id="after"),
        pytest.param("a: visible\n", "a: visible as well\n", False, id="neither"),
    ],
)
def test_a_secret_on_one_side_hides_both(before: str, after: str, hidden: bool) -> None:
    wanted = Wanted("file", "/etc/x.yaml", 0o600, content=after, hidden_if="^token:")
    (diff,) = plan_files([wanted], {wanted.path: text_state(before)}).diffs
    shown = diff["before"] + diff["after"]
    assert any(text in shown for text in (before, after)) is not hidden
    assert ("its secret content changes" in diff["after"]) is hidden


def test_superseded_files_go_unless_wanted() -> None:
    plan = plan_files(
        [LARGE],
        {LARGE.path: FileState("file", 0o644, "5" * 64), "/data/images/old": text_state("x")},
        [LARGE.path, "/data/images/old"],
    )
    assert [(step.verb, step.path) for step in plan.steps] == [("remove", "/data/images/old")]


def test_bytes_arrive_outside_of_a_watched_directory_under_a_name_no_watcher_takes() -> None:
    assert staged_path(LARGE) == "/data/.x.tar.555555555555.part"
