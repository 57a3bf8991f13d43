"""unpack_studio.py ARCHIVE FOLDER: lay MindsDB's web pages out as MindsDB serves them, with the archive's sum beside them."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path


def unpack(archive: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        try:
            with zipfile.ZipFile(archive) as pages:
                pages.extractall(work)  # which keeps every name inside of it
        except zipfile.BadZipFile as exc:
            sys.exit(
                f"{archive.name} is not a zip archive: {exc}. Name the archive of MindsDB's web pages in bundle_mindsdb_studio."
            )
        # The published archives hold either the pages or one folder called dist with them.
        found = [path for path in (Path(work), Path(work, "dist")) if (path / "index.html").is_file()]
        if not found:
            sys.exit(
                f"{archive.name} holds no index.html, neither at its top nor in dist: it is no archive of MindsDB's web pages. "
                "Name the right one in bundle_mindsdb_studio."
            )
        shutil.copytree(found[0], folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / "archive.sha256").write_text(
        f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}\n", encoding="utf-8"
    )


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
