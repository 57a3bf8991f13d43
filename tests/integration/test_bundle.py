"""The bundle's modules against what they speak to: buildah and skopeo, a registry, a server that lays releases out as k3s does.

One small image stands on the bundle's own base, so nothing here builds for long. Modules run as Ansible runs them, from
a file of arguments; what they made is read back by skopeo.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import typing as t
import urllib.parse

import pytest

from tests.setup.cache import CACHE

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULES = "ansible_collections.airgap.mlops.plugins.modules"
K3S_VERSION = "v1.35.7+k3s1"
RECIPE = """\
base: base
facts: {version: [cat, /etc/tiny]}
lists: {words: [printf, 'one\\ntwo\\n']}
"""
CONTAINERFILE = """\
ARG BASE
FROM ${BASE}
ARG PACKAGES=""
RUN --mount=type=bind,source=inputs,target=/run/inputs /run/inputs/packages ${PACKAGES} && echo 1.2 >/etc/tiny
USER 1000:1000
"""


class ModuleFailed(Exception):
    """What the module said."""


def module(module_name: str, /, *, check: bool = False, diff: bool = False, **options: t.Any) -> dict[str, t.Any]:
    arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check, "_ansible_diff": diff}}
    argv = [sys.executable, "-c", f"import runpy; runpy.run_module('{MODULES}.{module_name}', run_name='__main__')"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "build/collections")}
    done = subprocess.run(argv, input=json.dumps(arguments), env=env, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    result: dict[str, t.Any] = json.loads(done.stdout)
    if result.get("failed"):
        assert "Traceback" not in done.stderr, done.stderr
        raise ModuleFailed(result["msg"])
    return result


def sha(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder of recipes: the collection's base, whose result is in the cache, and one image on it."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("base", "shared"):
        shutil.copytree(ROOT / "images" / name, folder / name)
    (folder / "tiny").mkdir()
    (folder / "tiny/image.yml").write_text(RECIPE)
    (folder / "tiny/Containerfile").write_text(CONTAINERFILE)
    return folder


@pytest.fixture(scope="module")
def tiny(images: pathlib.Path) -> dict[str, t.Any]:
    """The image, built now: a file that no Containerfile copies makes a key that no cache can hold."""
    (images / "tiny/nonce").write_text(os.urandom(8).hex())
    options: dict[str, t.Any] = {"name": "tiny", "images": str(images)}
    planned = module("bundle_image", check=True, **options)
    assert planned["changed"]
    assert planned["image"] == {}
    done = module("bundle_image", **options)
    assert done["built"][-1:] == ["tiny"]
    again = module("bundle_image", **options)
    assert not again["changed"]
    assert again["image"] == done["image"]
    image: dict[str, t.Any] = done["image"]
    return image


def blob(digest: str) -> pathlib.Path:
    return CACHE / "images/blobs" / digest.replace(":", "/")


def test_a_built_image_says_what_it_holds(tiny: dict[str, t.Any]) -> None:
    assert (tiny["version"], tiny["facts"]) == ("1.2", {"words": ["one", "two"]})
    assert [f"sha256:{sha(blob(layer['digest']))}" for layer in tiny["layers"]] == [
        layer["digest"] for layer in tiny["layers"]
    ]
    assert all(layer["unpacked"] > layer["size"] for layer in tiny["layers"][:1])
    config = json.loads(blob(tiny["config"]).read_text())
    assert config["config"]["User"] == "1000:1000"
    left = subprocess.run(["buildah", "images", "--format", "{{.Name}}"], capture_output=True, text=True, check=True)
    assert "airgap-mlops/tiny" not in left.stdout


def test_the_same_inputs_give_the_same_digests(
    tiny: dict[str, t.Any], images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(images, tmp_path / "images")
    (tmp_path / "images/tiny/nonce").write_text(os.urandom(8).hex())
    once_more = module("bundle_image", name="tiny", images=str(tmp_path / "images"))
    assert once_more["built"] == ["tiny"]
    assert once_more["image"] == tiny


def test_a_recipe_that_fails_says_where_to_read_on(images: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copytree(images, tmp_path / "images")
    with (tmp_path / "images/tiny/Containerfile").open("a") as stream:
        stream.write("RUN echo it is broken >&2; exit 3\n")
    with pytest.raises(ModuleFailed, match=r"(?s)exit code 3.*it is broken.*logs/tiny.log"):
        module("bundle_image", name="tiny", images=str(tmp_path / "images"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "none"}, "cannot be built: name a folder"),
        ({"name": "tiny", "pip_packages": ["a==1"]}, "no Python environment of its own"),
        ({"name": "base", "base": "tiny"}, "made from nothing"),
        ({"name": "tiny", "base": "docker://r/n:latest"}, "must be pulled by its digest"),
        ({"name": "tiny", "arch": "arm64"}, "cannot be built for arm64 on this amd64 host"),
    ],
)
def test_a_build_that_cannot_be_is_refused(images: pathlib.Path, options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ModuleFailed, match=message):
        module("bundle_image", images=str(images), **options)


# --- archives -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def layout(tiny: dict[str, t.Any], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The image as an OCI layout, for skopeo to make archives of."""
    folder = tmp_path_factory.mktemp("layout")
    for digest in (tiny["digest"], tiny["config"], *(layer["digest"] for layer in tiny["layers"])):
        target = folder / "blobs" / digest.replace(":", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(blob(digest), target)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": tiny["digest"],
        "size": tiny["manifest_size"],
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return folder


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_an_archive_is_taken_once(
    layout: pathlib.Path, tiny: dict[str, t.Any], tmp_path: pathlib.Path, transport: str
) -> None:
    archive = tmp_path / "image.tar"
    target = f"{transport}:{archive}:example/tiny:1"
    # Through gzip, as most images out there are: docker's format knows no zstd.
    gzip = ["--dest-compress-format", "gzip", f"oci:{layout}", f"oci:{tmp_path}/gzip"]
    for pair in (gzip, [f"oci:{tmp_path}/gzip", target]):
        subprocess.run(["skopeo", "copy", "--quiet", *pair], check=True, capture_output=True)
    options: dict[str, t.Any] = {"name": "given", "source": "archive", "archive": str(archive), "version": "9"}
    options["cache"] = str(tmp_path / "cache")
    with pytest.raises(ModuleFailed, match=r"given \(.*image.tar\) is for linux/amd64, the bundle for linux/arm64"):
        module("bundle_image", **options, arch="arm64")
    done = module("bundle_image", **options)
    assert done["changed"]
    assert (done["image"]["version"], done["image"]["source"]) == ("9", "archive")
    unpacked = [layer["unpacked"] for layer in tiny["layers"]]
    assert [layer["unpacked"] for layer in done["image"]["layers"]] == unpacked
    assert not module("bundle_image", **options)["changed"]
    with pytest.raises(ModuleFailed, match="holds no image other; it holds .*example/tiny:1"):
        module("bundle_image", **options, image="other")


# --- a registry -----------------------------------------------------------------------------------------------------


class Registry(http.server.BaseHTTPRequestHandler):
    """The reading half of the distribution API, over a layout."""

    folder: pathlib.Path

    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path)
        wanted = self.folder / "blobs" / path.rpartition("/")[2].replace(":", "/")
        if path == "/v2/":
            self.answer(b"{}", "application/json")
        elif wanted.is_file() and "sha256:" in path:
            kind = "application/vnd.oci.image.manifest.v1+json" if "/manifests/" in path else "application/octet-stream"
            self.answer(wanted.read_bytes(), kind)
        else:
            self.send_error(404)

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002  # the name that the base class gives it
        pass


def serve(handler: type[http.server.BaseHTTPRequestHandler] | t.Any) -> t.Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def registry(layout: pathlib.Path) -> t.Iterator[str]:
    yield from serve(type("Here", (Registry,), {"folder": layout}))


def test_an_image_is_pulled_as_it_is(registry: str, tiny: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    options: dict[str, t.Any] = {"name": "tiny", "source": "pull", "version": "9", "tls_verify": False}
    options["cache"] = str(tmp_path / "cache")
    image = f"docker://{registry}/some/tiny@{tiny['digest']}"
    planned = module("bundle_image", check=True, image=image, **options)
    assert planned["changed"]
    done = module("bundle_image", image=image, **options)
    assert done["changed"]
    assert done["image"]["digest"] == tiny["digest"]
    assert done["image"]["source"] == "pull"
    assert not module("bundle_image", image=image, **options)["changed"]


def test_a_build_can_stand_on_an_image_of_a_registry(
    registry: str, tiny: dict[str, t.Any], images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    base = f"docker://{registry}/some/base@{tiny['digest']}"
    options: dict[str, t.Any] = {"name": "tiny", "images": str(images), "base": base, "tls_verify": False}
    done = module("bundle_image", **options, cache=str(tmp_path / "cache"))
    assert done["built"] == ["tiny"]
    unpacked = [layer["unpacked"] for layer in done["image"]["layers"]]
    assert unpacked[:2] == [layer["unpacked"] for layer in tiny["layers"]]
    assert len(unpacked) == 4, "an empty one that makes root the user again, and the build's own"


def test_an_image_that_is_not_there_is_named(registry: str, tiny: dict[str, t.Any]) -> None:
    options: dict[str, t.Any] = {"name": "tiny", "source": "pull", "version": "9", "tls_verify": False}
    with pytest.raises(ModuleFailed, match="must be pulled by its digest"):
        module("bundle_image", image=f"docker://{registry}/some/tiny:9", **options)
    with pytest.raises(ModuleFailed, match=f"{registry}/some/tiny@sha256:0000"):
        module("bundle_image", image=f"docker://{registry}/some/tiny@sha256:{'0' * 64}", **options)


# --- k3s ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def releases(tmp_path: pathlib.Path) -> t.Iterator[tuple[str, pathlib.Path]]:
    """A server with one release, laid out as the project's: its address and the release's folder."""
    folder = tmp_path / "download" / K3S_VERSION
    folder.mkdir(parents=True)
    shutil.copyfile("/bin/true", folder / "k3s")
    for suffix in ("tar", "tar.gz", "tar.zst"):
        (folder / f"k3s-airgap-images-amd64.{suffix}").write_bytes(os.urandom(3 << 20))
    names = sorted(path.name for path in folder.iterdir())
    (folder / "sha256sum-amd64.txt").write_text("".join(f"{sha(folder / name)}  {name}\n" for name in names))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: t.Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002  # the name that the base class gives it
            assert " /download/v1.35.7%2Bk3s1/" in str(args[0]) or "404" in str(args), "a + must be escaped"

    for address in serve(Handler):
        yield f"http://{address}/download", folder


def test_a_release_is_downloaded_and_checked(releases: tuple[str, pathlib.Path], tmp_path: pathlib.Path) -> None:
    url, folder = releases
    options: dict[str, t.Any] = {"version": K3S_VERSION, "url": url, "arch": "amd64", "cache": str(tmp_path / "cache")}
    assert module("bundle_k3s", check=True, **options) == {
        **module("bundle_k3s", check=True, **options),
        "changed": True,
        "k3s": {},
    }
    done = module("bundle_k3s", **options)
    k3s = done["k3s"]
    assert done["changed"]
    assert (k3s["version"], k3s["source"], k3s["images"]["suffix"]) == (K3S_VERSION, "release", ".tar.zst")
    assert k3s["binary"]["sha256"] == sha(folder / "k3s") == sha(pathlib.Path(k3s["binary"]["path"]))
    (folder / "k3s").unlink()  # a second run asks no server
    assert not module("bundle_k3s", **options)["changed"]


def test_a_wrong_sum_stops_and_keeps_nothing(releases: tuple[str, pathlib.Path], tmp_path: pathlib.Path) -> None:
    url, folder = releases
    options: dict[str, t.Any] = {"version": K3S_VERSION, "url": url, "arch": "amd64", "cache": str(tmp_path / "cache")}
    archive = folder / "k3s-airgap-images-amd64.tar.zst"
    good = archive.read_bytes()
    archive.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(
        ModuleFailed, match=r"v1.35.7%2Bk3s1/k3s-airgap-images-amd64.tar.zst has the sha256 .*nothing of it was kept"
    ):
        module("bundle_k3s", **options)
    assert list((tmp_path / "cache/k3s").iterdir()) == []
    archive.write_bytes(good)
    assert module("bundle_k3s", **options)["changed"]


def test_a_cache_that_rotted_is_filled_again(releases: tuple[str, pathlib.Path], tmp_path: pathlib.Path) -> None:
    url, _folder = releases
    options: dict[str, t.Any] = {"version": K3S_VERSION, "url": url, "arch": "amd64", "cache": str(tmp_path / "cache")}
    kept = pathlib.Path(module("bundle_k3s", **options)["k3s"]["binary"]["path"])
    kept.write_bytes(b"rotten")
    again = module("bundle_k3s", **options)
    assert again["changed"]
    assert sha(kept) == again["k3s"]["binary"]["sha256"]


def test_a_release_that_is_not_there_is_named(releases: tuple[str, pathlib.Path], tmp_path: pathlib.Path) -> None:
    url, folder = releases
    options: dict[str, t.Any] = {"arch": "amd64", "cache": str(tmp_path / "cache")}
    with pytest.raises(ModuleFailed, match=r"v1.35.8%2Bk3s1/sha256sum-amd64.txt answers 404"):
        module("bundle_k3s", version="v1.35.8+k3s1", url=url, **options)
    with pytest.raises(ModuleFailed, match="write it whole, as in v1.35.7"):
        module("bundle_k3s", version="v1.35.7", url=url, **options)
    with pytest.raises(ModuleFailed, match="127.0.0.1:1/.* cannot be downloaded"):
        module("bundle_k3s", version=K3S_VERSION, url="http://127.0.0.1:1", **options)
    (folder / "sha256sum-amd64.txt").write_text("<html>")
    with pytest.raises(ModuleFailed, match=r"has no sha256 of k3s, k3s-airgap-images-amd64.tar.zst"):
        module("bundle_k3s", version=K3S_VERSION, url=url, **options)


def test_files_at_hand_are_asked_what_they_are(tmp_path: pathlib.Path) -> None:
    (tmp_path / "i.tar").touch()
    options: dict[str, t.Any] = {"source": "path", "images": str(tmp_path / "i.tar"), "arch": "amd64"}
    with pytest.raises(ModuleFailed, match="k3s: .*/nowhere does not exist"):
        module("bundle_k3s", binary=str(tmp_path / "nowhere"), **options)
    with pytest.raises(ModuleFailed, match="no ELF header"):
        module("bundle_k3s", binary=str(tmp_path / "i.tar"), **options)
    with pytest.raises(ModuleFailed, match="names no k3s version"):
        module("bundle_k3s", binary="/bin/true", **options)
    with pytest.raises(ModuleFailed, match="the k3s binary /bin/true is for amd64, the bundle for arm64"):
        module("bundle_k3s", binary="/bin/true", **{**options, "arch": "arm64"})
    with pytest.raises(ModuleFailed, match="none of the suffixes"):
        module("bundle_k3s", binary="/bin/true", **{**options, "images": "/bin/true"})


# --- the whole ------------------------------------------------------------------------------------------------------


@pytest.fixture
def parts(tiny: dict[str, t.Any], releases: tuple[str, pathlib.Path], tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """The options of `bundle`: the image twice under two names, a release, and the nodes' wheels."""
    k3s = module("bundle_k3s", version=K3S_VERSION, url=releases[0], arch="amd64", cache=str(tmp_path / "cache"))
    wheels = module("bundle_wheels", requirements=str(ROOT / "playbooks/files/requirements-node.txt"))
    return {
        "path": str(tmp_path / "bundle"),
        "version": "1.0.0",
        "arch": "amd64",
        "k3s": k3s["k3s"],
        "images": [tiny, {**tiny, "name": "twin", "facts": {}}],
        "wheels": wheels["wheels"],
    }


def test_a_bundle_is_planned_made_and_left_alone(parts: dict[str, t.Any], tiny: dict[str, t.Any]) -> None:
    path = pathlib.Path(parts["path"])
    planned = module("bundle", check=True, diff=True, **parts)
    assert not path.exists()
    done = module("bundle", diff=True, **parts)
    assert planned["changed"]
    assert planned["diff"] == done["diff"]
    assert planned["manifest"] == done["manifest"]
    for name in ("tiny", "twin"):
        reference = done["manifest"]["images"][name]["reference"]
        raw = subprocess.run(
            ["skopeo", "inspect", "--raw", f"oci:{path}/oci:{reference}"], capture_output=True, check=True
        )
        assert f"sha256:{hashlib.sha256(raw.stdout).hexdigest()}" == tiny["digest"]
    assert len(list((path / "oci/blobs/sha256").iterdir())) == 4
    assert (path / "files/k3s").stat().st_mode & 0o777 == 0o755
    assert module("bundle_info", path=str(path), arch="amd64")["manifest"] == done["manifest"]
    before = {item: item.stat().st_mtime_ns for item in path.rglob("*")}
    again = module("bundle", diff=True, **parts)
    assert (again["changed"], again["actions"], again["bytes_written"]) == (False, [], 0)
    assert before == {item: item.stat().st_mtime_ns for item in path.rglob("*")}


def test_what_was_damaged_is_named_and_mended(parts: dict[str, t.Any]) -> None:
    path = pathlib.Path(parts["path"])
    made = module("bundle", **parts)["manifest"]
    wheel = next((path / "wheels").glob("six-*.whl"))
    layer = max((path / "oci/blobs/sha256").iterdir(), key=lambda item: item.stat().st_size)
    for damaged in (layer, wheel, path / "files/k3s", path / "manifest.yml"):
        with damaged.open("r+b") as stream:
            stream.seek(damaged.stat().st_size // 2)
            byte = stream.read(1)
            stream.seek(-1, os.SEEK_CUR)
            stream.write(bytes([byte[0] ^ 1]))
        with pytest.raises(ModuleFailed, match=str(damaged.relative_to(path))):
            module("bundle_info", path=str(path))
        mended = module("bundle", **parts)
        assert len(mended["actions"]) == (1 if damaged.name == "manifest.yml" else 2)
        assert module("bundle_info", path=str(path))["manifest"] == made
    (path / "files/stranger").touch()
    with pytest.raises(ModuleFailed, match="files/stranger does not belong to it"):
        module("bundle_info", path=str(path))
    with pytest.raises(ModuleFailed, match="is for amd64, but arm64 is wanted"):
        module("bundle_info", path=str(path), arch="arm64")
    assert module("bundle", **parts)["actions"] == ["remove files/stranger", "write manifest.yml"]


def test_a_run_that_was_cut_off_is_finished_by_the_next(parts: dict[str, t.Any]) -> None:
    path = pathlib.Path(parts["path"])
    whole = module("bundle", **parts)
    # What a power cut leaves behind: no manifest yet, a part of the files, a half-written one under its other name.
    (path / "manifest.yml").unlink()
    shutil.rmtree(path / "wheels")
    (path / "files/.new-half").write_bytes(b"half")
    with pytest.raises(ModuleFailed, match=r"has no manifest.yml, which is written last"):
        module("bundle_info", path=str(path))
    assert "remove files/.new-half" in module("bundle", **parts)["actions"]
    assert module("bundle_info", path=str(path))["manifest"] == whole["manifest"]


def test_a_bundle_without_an_image_drops_what_only_that_image_needed(
    parts: dict[str, t.Any], images: pathlib.Path
) -> None:
    other = module("bundle_image", name="base", images=str(images))["image"]
    alone = {**parts, "images": [{**other, "version": "trixie"}]}
    module("bundle", **parts)
    actions = module("bundle", **alone)["actions"]
    assert len([item for item in actions if item.startswith("remove oci/blobs/")]) == 3
    assert module("bundle_info", path=parts["path"])["manifest"]["images"].keys() == {"base"}


def test_a_directory_of_somebody_else_is_left_alone(parts: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").touch()
    with pytest.raises(ModuleFailed, match="home holds thesis.tex, and what does not belong"):
        module("bundle", **{**parts, "path": str(home)})
    with pytest.raises(ModuleFailed, match="is a file, and a bundle is a directory"):
        module("bundle", **{**parts, "path": str(home / "thesis.tex")})
    assert [item.name for item in home.iterdir()] == ["thesis.tex"]
    (home / "thesis.tex").rename(home / "files")
    with pytest.raises(ModuleFailed, match="home holds files, and what does not belong"):
        module("bundle", **{**parts, "path": str(home)})
    made = pathlib.Path(parts["path"])
    module("bundle", **parts)
    (made / "notes.txt").touch()
    with pytest.raises(ModuleFailed, match=r"bundle holds notes.txt, and what does not belong"):
        module("bundle", **parts)
    assert (made / "notes.txt").exists()


def test_a_damaged_cache_does_not_get_into_a_bundle(parts: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    binary = pathlib.Path(parts["k3s"]["binary"]["path"])
    raw = binary.read_bytes()
    binary.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(ModuleFailed, match=r"k3s has other content than when it was stored"):
        module("bundle", **parts)
    with pytest.raises(ModuleFailed, match=r"has no manifest.yml"):
        module("bundle_info", path=parts["path"])


def test_parts_that_are_not_there_yet_are_a_plan_and_not_a_bundle(parts: dict[str, t.Any]) -> None:
    missing = {**parts, "images": [{}, parts["images"][0]], "k3s": {}}
    planned = module("bundle", check=True, **missing)
    assert planned["actions"] == ["make k3s first", "make image 1 first"]
    with pytest.raises(ModuleFailed, match="nothing is known of k3s, image 1"):
        module("bundle", **missing)
