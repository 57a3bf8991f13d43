"""The archive of MindsDB's web pages, as it is laid into the image."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from unpack_studio import unpack


def archive(folder: Path, **files: str) -> Path:
    path = folder / "studio.zip"
    with zipfile.ZipFile(path, "w") as pages:
        for name, text in files.items():
            pages.writestr(name.replace("__", "/"), text)
    return path


@pytest.mark.parametrize("prefix", ["", "dist__"])
def test_pages_are_laid_out_with_the_sum_of_their_archive(tmp_path: Path, prefix: str) -> None:
    source = archive(tmp_path, **{f"{prefix}index.html": "page", f"{prefix}assets__a.js": "code"})
    target = tmp_path / "pages"
    unpack(source, target)
    assert (target / "index.html").read_text() == "page"
    assert (target / "assets/a.js").read_text() == "code"
    assert (target / "archive.sha256").read_text() == f"sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}\n"
    assert {path.stat().st_mode & 0o777 for path in target.rglob("*")} == {0o755, 0o644}


def test_another_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"holds no index\.html"):
        unpack(archive(tmp_path, **{"readme.txt": "x"}), tmp_path / "pages")
    assert not (tmp_path / "pages").exists()


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "studio.zip").write_bytes(b"<html>not found</html>")
    with pytest.raises(SystemExit, match=r"studio\.zip is not a zip archive"):
        unpack(tmp_path / "studio.zip", tmp_path / "pages")


def test_no_file_leaves_the_folder(tmp_path: Path) -> None:
    unpack(archive(tmp_path, **{"index.html": "page", "..__..__outside": "x"}), tmp_path / "deep" / "pages")
    assert not list(tmp_path.glob("outside"))
