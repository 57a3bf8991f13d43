"""What role mindsdb runs as the first process of the pod."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / "roles/mindsdb/files/start.py"
# Nothing listens there, so the answer is quick.
NOWHERE = "postgresql+psycopg://mindsdb:p%40ss-word@127.0.0.1:9/mindsdb"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("start", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAGES", tmp_path / "pages")
    return module


def image_pages(tmp_path: Path, text: str) -> None:
    pages = tmp_path / "pages"
    pages.mkdir(exist_ok=True)
    (pages / "index.html").write_text(text)
    (pages / "archive.sha256").write_text(f"sha256:{text}\n")


def test_pages_follow_the_image(start: ModuleType, tmp_path: Path) -> None:
    served = tmp_path / "storage/static/index.html"
    served.parent.mkdir(parents=True)
    start.lay_out_pages(tmp_path / "storage")
    assert not served.exists()
    for text in ("first", "second"):
        image_pages(tmp_path, text)
        start.lay_out_pages(tmp_path / "storage")
        assert served.read_text() == text
    served.write_text("kept while the image is the same")
    start.lay_out_pages(tmp_path / "storage")
    assert served.read_text() == "kept while the image is the same"
    for path in (tmp_path / "pages").iterdir():
        path.unlink()
    start.lay_out_pages(tmp_path / "storage")
    assert not served.exists()


def test_a_copy_that_was_cut_off_is_made_again(start: ModuleType, tmp_path: Path) -> None:
    image_pages(tmp_path, "whole")
    (tmp_path / "storage/static.new").mkdir(parents=True)
    (tmp_path / "storage/static.new/index.html").write_text("half")
    start.lay_out_pages(tmp_path / "storage")
    assert (tmp_path / "storage/static/index.html").read_text() == "whole"
    assert not (tmp_path / "storage/static.new").exists()


def test_why_the_database_cannot_be_used_holds_no_password(start: ModuleType) -> None:
    problem = start.database_problem(NOWHERE)
    assert "127.0.0.1" in problem
    assert "ss-word" not in problem


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_while_it_waits(tmp_path: Path, number: signal.Signals) -> None:
    env = {**os.environ, "MINDSDB_DB_CON": NOWHERE, "MINDSDB_STORAGE_DIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, str(SCRIPT)], env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("start: waiting for the database: connection")
        process.send_signal(number)
        assert process.wait(10) == 0
