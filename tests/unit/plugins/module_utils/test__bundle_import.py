# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import io
import json
import pathlib
import re
import tarfile

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_import import archive_source, pull_source
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

DIGEST = "sha256:" + "a" * 64
NAMED = "docker.io/library/postgres:17"


def tarball(path: pathlib.Path, files: dict[str, object], mode: str = "w") -> str:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


def docker(*tags: str) -> dict[str, object]:
    return {
        "layer.tar": "",
        "manifest.json": [{"Config": "c.json", "RepoTags": [tag] if tag else None, "Layers": []} for tag in tags],
    }


def oci(*names: str) -> dict[str, object]:
    annotations = [{"org.opencontainers.image.ref.name": name} if name else {} for name in names]
    return {
        "./oci-layout": {},
        "./index.json": {"manifests": [{"digest": DIGEST, "size": 1, "annotations": item} for item in annotations]},
    }


@pytest.mark.parametrize(
    ("files", "image", "expected"),
    [
        pytest.param(docker(NAMED), "", f"docker-archive:PATH:{NAMED}", id="docker save"),
        pytest.param(docker(""), "", "docker-archive:PATH", id="docker save without a name"),
        pytest.param(docker("a:1", "b:2"), "b:2", "docker-archive:PATH:b:2", id="one of two"),
        pytest.param(oci("x:1"), "", "oci-archive:PATH:x:1", id="OCI"),
        pytest.param(oci(""), "", "oci-archive:PATH", id="OCI without a name"),
        pytest.param({**docker(NAMED), **oci("x:1")}, "", "oci-archive:PATH:x:1", id="docker save that writes both"),
    ],
)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_in_the_words_of_skopeo(
    tmp_path: pathlib.Path, files: dict[str, object], image: str, expected: str, mode: str
) -> None:
    path = tarball(tmp_path / "a.tar", files, mode)
    assert archive_source(path, image) == [expected.replace("PATH", path)]


@pytest.mark.parametrize(
    ("files", "image", "message"),
    [
        pytest.param(docker("a:1", "b:2"), "", "holds 2 images: name one of a:1, b:2", id="which"),
        pytest.param(docker("a:1", ""), "c:3", "holds no image c:3; it holds a:1, (without a name)", id="not there"),
        pytest.param({"etc/passwd": ""}, "", "is a tarball, but not of images", id="some tarball"),
        pytest.param({"oci-layout": {}, "index.json": []}, "", "index.json of", id="damaged index"),
    ],
)
def test_an_archive_that_does_not_fit_is_named(
    tmp_path: pathlib.Path, files: dict[str, object], image: str, message: str
) -> None:
    with pytest.raises(AirgapError, match=re.escape(message)):
        archive_source(tarball(tmp_path / "a.tar", files), image)


def test_what_is_no_tarball_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"hello")
    with pytest.raises(AirgapError, match=r"a.tar cannot be read as a tarball"):
        archive_source(str(tmp_path / "a.tar"), "")


def test_a_registry_in_the_words_of_skopeo() -> None:
    image = f"docker://registry.example/postgres@{DIGEST}"
    assert pull_source(image, None, True) == ["--src-tls-verify=true", image]
    assert pull_source(image, "/a", False) == ["--src-authfile", "/a", "--src-tls-verify=false", image]


@pytest.mark.parametrize(
    "image", ["postgres:17", "docker://r/postgres:17", f"docker://r/p@{DIGEST[:-1]}", f"r/p@{DIGEST}"]
)
def test_only_digests_are_pulled(image: str) -> None:
    with pytest.raises(AirgapError, match="must be pulled by its digest"):
        pull_source(image, None, True)
