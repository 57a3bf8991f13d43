"""Both chains of scenarios stand on one bundle: what makes it runs once, also where it fails."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from tests.run import bundle
from tests.run.process import ROOT, Done


@pytest.mark.parametrize("rc", [0, 1])
def test_it_is_made_once(rc: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def call(name: str, argv: list[str], **_options: object) -> Done:
        asked.append(name)
        return Done(name, rc, 1.0, ROOT / "README.md")

    monkeypatch.setattr(bundle, "call", call)
    monkeypatch.setattr(bundle, "_made", Future())
    for _chain in range(2):
        if rc:
            with pytest.raises(SystemExit, match="cannot be made"):
                bundle.ensure_bundle()
        else:
            bundle.ensure_bundle()
    assert asked == ["bundle"]
