"""Which k3s the demo runs: the one that K3S names, else a release where one can be downloaded, else the stand-in."""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from tests.demo.steps import DemoError, run_logged

__all__ = ("K3s", "find_k3s")

_ROOT = Path(__file__).resolve().parents[2]
_RELEASE = "v1.35.7+k3s1"
_STANDIN = "v1.35.4+standin1"
_RELEASES = "https://github.com/k3s-io/k3s/releases/download"
_PROBE_SECONDS = 5
_CACHED_SECONDS = 10


@dataclass(frozen=True)
class K3s:
    description: str
    source: str  # path or release, as the bundle's k3s source
    version: str | None = None
    binary: Path | None = None
    images: Path | None = None


def find_k3s(meanwhile: Callable[[], None]) -> K3s:
    """`meanwhile` is done where the stand-in has to be compiled, which takes minutes and leaves processors idle at times."""
    given, images = os.environ.get("K3S"), os.environ.get("K3S_IMAGES")
    if given:
        return _from_path(given, images)
    if images:
        raise DemoError("K3S_IMAGES is set but K3S is not: the archive belongs to a binary, so give both")
    if _can_download():
        return K3s(f"k3s {_RELEASE} as released", source="release", version=_RELEASE)
    print(
        f"      no k3s release can be downloaded here, so this runs the stand-in {_STANDIN}: upstream Kubernetes behind k3s' command line"
    )
    return _standin(meanwhile)


def _from_path(given: str, images: str | None) -> K3s:
    files = {"K3S": Path(given).resolve(), **({"K3S_IMAGES": Path(images).resolve()} if images else {})}
    for name, file in files.items():
        if not file.is_file():
            raise DemoError(f"{name}={file} is no file; name a k3s binary and the archive of its core images")
    return K3s(f"k3s from {files['K3S']}", source="path", binary=files["K3S"], images=files.get("K3S_IMAGES"))


def _can_download() -> bool:
    url = f"{_RELEASES}/{_RELEASE.replace('+', '%2B')}/sha256sum-amd64.txt"
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as answer:  # noqa: S310 - a fixed https address
            return bool(answer.status == 200)
    except OSError:
        return False


def _standin(meanwhile: Callable[[], None]) -> K3s:
    output = _ROOT / "build/k3s"
    command = [
        sys.executable,
        str(_ROOT / "tests/k3s_standin/build.py"),
        "--version",
        _STANDIN,
        "--output",
        str(output),
    ]
    with ThreadPoolExecutor() as pool:
        build = pool.submit(run_logged, command, _ROOT / "build/demo/standin.log")
        if wait([build], timeout=_CACHED_SECONDS).not_done:
            meanwhile()
        build.result()
    images = output / "k3s-airgap-images-amd64.tar.zst"
    return K3s(f"the stand-in {_STANDIN}, no k3s release", source="path", binary=output / "k3s", images=images)
