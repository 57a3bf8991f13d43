# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Build an image of images/ with buildah: its base first, then what its recipe wants, then its Containerfile. I/O only."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import asdict, replace

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import host_lock
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_facts import ask_image
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import hash_file
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host, host_arch
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_import import pull_source
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_inputs import (
    SHARED,
    BuildOptions,
    Inputs,
    list_image,
    list_project,
    read_recipe,
)
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import Recipe, Wheels, content_key
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_store import ImageStore, StoredImage
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError, CommandFailed

__all__ = ("ImageBuilder",)

# Bump when the way of building changes the result although no input did.
_GENERATION = 3
_PREFIX = "localhost/airgap-mlops"
_BUILD = (
    "buildah",
    "build",
    "--isolation=chroot",
    "--format=oci",
    "--identity-label=false",
    "--no-cache",
    "--pull-never",
)
_COMPRESS = ("--dest-compress-format", "zstd")


class ImageBuilder:
    """Finds images in the store by the key of their content, or builds them."""

    def __init__(self, store: ImageStore, host: Host, *, build: bool) -> None:
        self.store = store
        self.host = host
        self.build = build
        self.built: list[str] = []

    def ensure(self, name: str, options: BuildOptions) -> StoredImage | None:
        """The image, built if need be. Without leave to build: None where a build would be needed."""
        recipe = read_recipe(options.images, name)
        _check(recipe, options)
        plain = self._ensure_plain(recipe, options)
        if plain is None or not options.projects or not recipe.wheels or not recipe.wheels.projects:
            return plain
        wheels, tag = recipe.wheels, f"{recipe.name}-plain"
        key = self._projects_key(recipe, wheels, options, plain)
        return self._find_or_build(
            recipe, options, key, lambda build: build.add_projects(recipe, wheels, plain, f"{_PREFIX}/{tag}")
        )

    def _ensure_plain(self, recipe: Recipe, options: BuildOptions) -> StoredImage | None:
        """The image but for its projects."""
        base_name = options.base or recipe.base
        external = base_name if base_name and ":" in base_name else None
        base = None
        if base_name and not external:
            base = self.ensure(base_name, options.for_base())
            if base is None:
                return None
        key = self._key(recipe, options, external or (base.digest if base else ""))
        return self._find_or_build(recipe, options, key, lambda build: build.image(recipe, base, external))

    def _find_or_build(
        self, recipe: Recipe, options: BuildOptions, key: str, make: t.Callable[[_Build], StoredImage]
    ) -> StoredImage | None:
        image = self.store.find(key)
        if image or not self.build:
            return image
        with host_lock("images"):
            # Another process may have built it while this one waited.
            image = self.store.find(key)
            if image is None:
                with _Build(self.store, self.host, options, key) as build:
                    image = make(build)
                if recipe.name not in self.built:
                    self.built.append(recipe.name)
        return image

    def _key(self, recipe: Recipe, options: BuildOptions, base: str) -> str:
        files = _hash_folder(options.images, recipe.name)
        if not recipe.rootfs:
            # A bare root file system runs no steps.
            files.update(_hash_folder(options.images, SHARED))
        wheels = recipe.wheels
        if wheels:
            # Another folder may hold them.
            files.update(_hash_locks(options.images, recipe.name, wheels.lock, wheels.tools))
            # Their layer has a key of its own.
            wheels = replace(wheels, projects=())
        inputs = [asdict(part) if part else None for part in (recipe.rootfs, wheels, recipe.go)]
        mirror = options.debian_mirror if recipe.rootfs else ""
        return content_key(
            generation=_GENERATION,
            inputs=inputs,
            files=files,
            laid_in=[[name, sha256] for name, sha256, _path in options.files],
            base=base,
            arch=options.arch,
            compression_level=options.compression_level,
            timestamp=options.timestamp,
            debian_mirror=mirror,
            refresh=options.refresh,
            python=options.python,
            packages=list(options.packages),
            pip_packages=list(options.pip_packages),
        )

    def _projects_key(self, recipe: Recipe, wheels: Wheels, options: BuildOptions, plain: StoredImage) -> str:
        projects = {
            project: _hash_files(os.path.join(options.images, project), list_project(options.images, project))
            for project in wheels.projects
        }
        return content_key(
            generation=_GENERATION,
            projects=projects,
            files={
                **_hash_folder(options.images, SHARED),
                **_hash_locks(options.images, recipe.name, wheels.tools),
            },
            base=plain.digest,
            compression_level=options.compression_level,
            timestamp=options.timestamp,
        )


class _Build:
    """One build through the host's container storage, which is as it was when the block ends."""

    def __init__(self, store: ImageStore, host: Host, options: BuildOptions, key: str) -> None:
        self.store = store
        self.host = host
        self.options = options
        self.key = key
        self._loaded: list[str] = []

    def __enter__(self) -> _Build:
        return self

    def __exit__(self, *_exc: object) -> None:
        # What is worth keeping lies in the cache.
        for name in self._loaded:
            self._forget(name)

    def image(self, recipe: Recipe, base: StoredImage | None, external: str | None) -> StoredImage:
        """By the image's own Containerfile."""
        self._need(recipe, "mmdebstrap" if recipe.rootfs else "")
        with self.store.cache.workspace("images") as work:
            context = os.path.join(work, recipe.name)
            Inputs(self.host, self.options).lay_out(recipe, context)
            arguments = [f"PACKAGES={' '.join(self.options.packages)}"] if recipe.base else []
            if base or external:
                arguments.append(f"BASE={self._load_base(recipe, base, external)}")
            # With projects to come the image is not finished, and may not know its version yet.
            return self._make(recipe, context, "", arguments, ask=not (recipe.wheels and recipe.wheels.projects))

    def add_projects(self, recipe: Recipe, wheels: Wheels, plain: StoredImage, name: str) -> StoredImage:
        """The plain image with its projects in a layer above: a change of their code leaves the layers below as they are."""
        self._need(recipe)
        with self.store.cache.workspace("images") as work:
            context = os.path.join(work, recipe.name)
            file = Inputs(self.host, self.options).lay_out_projects(recipe, wheels, context)
            tag = self._load(plain, name)
            user = self.host.run(["buildah", "inspect", "--type", "image", "--format", "{{.OCIv1.Config.User}}", tag])
            return self._make(recipe, context, file, [f"BASE={tag}", f"RUN_AS={user or '0:0'}"], ask=True)

    def _need(self, recipe: Recipe, *more: str) -> None:
        if self.options.arch != host_arch():
            raise AirgapError(
                f"the image {recipe.name} cannot be built for {self.options.arch} on this {host_arch()} host: "
                f"build the bundle on a host of that architecture, or take the image by source pull or archive"
            )
        self.host.need("buildah", "skopeo", "zstd", *(command for command in more if command))

    def _make(self, recipe: Recipe, context: str, file: str, arguments: list[str], *, ask: bool) -> StoredImage:
        # The name goes into the image's annotations, so it depends on content alone.
        tag = f"{_PREFIX}/{recipe.name}:{self.key[:12]}"
        self._loaded.append(tag)
        stamp = ["--timestamp", str(self.options.timestamp)]
        args = [item for argument in arguments for item in ("--build-arg", argument)]
        which = ["--file", file] if file else []
        self.host.run([*_BUILD, *stamp, *args, *which, "--tag", tag, context])
        source = [f"--dest-compress-level={self.options.compression_level}", f"containers-storage:{tag}"]
        what = f"the image {recipe.name}"
        image = self.store.keep(self.key, self.host, [*_COMPRESS, *source], self.options.arch, what)
        if ask:
            # Now that it lies in the container storage; find_facts() would have to unpack it there again.
            self.store.keep_facts(image, recipe, ask_image(self.host, tag, recipe))
        return image

    def _load(self, image: StoredImage, name: str) -> str:
        tag = f"{name}:{image.digest.partition(':')[2][:12]}"
        self.store.load(image, tag, self.host)
        self._loaded.append(tag)
        return tag

    def _load_base(self, recipe: Recipe, base: StoredImage | None, external: str | None) -> str:
        options = self.options
        if base:
            return self._load(base, f"{_PREFIX}/{options.base or recipe.base}")
        tag = f"{_PREFIX}/external:{content_key(reference=external)[:12]}"
        source = pull_source(str(external), options.authfile, options.tls_verify)
        platform = ["--override-os", "linux", "--override-arch", options.arch]
        self.host.run(["skopeo", "copy", *platform, *source, f"containers-storage:{tag}"])
        self._loaded.append(tag)
        self._as_root(tag, options.timestamp)
        return tag

    def _as_root(self, tag: str, timestamp: int) -> None:
        """Many an image ends as another user, and our steps install packages."""
        container = self.host.run(["buildah", "from", "--pull-never", tag])
        try:
            self.host.run(["buildah", "config", "--user", "0:0", "--entrypoint", "[]", container])
            # A layer more and with nothing in it: what the base brings stays as it is.
            commit = ["buildah", "commit", "--quiet", "--format=oci", "--timestamp", str(timestamp)]
            self.host.run([*commit, "--identity-label=false", "--disable-compression", container, tag])
        finally:
            self.host.run(["buildah", "rm", container])

    def _forget(self, tag: str) -> None:
        if self.host.run(["buildah", "images", "--quiet", "--filter", f"reference={tag}"]):
            # A container that somebody was cut off from may still stand on it; that is theirs to tidy up.
            with contextlib.suppress(CommandFailed):
                self.host.run(["buildah", "rmi", tag])


def _check(recipe: Recipe, options: BuildOptions) -> None:
    if options.pip_packages and not recipe.wheels:
        raise AirgapError(
            f"the image {recipe.name} has no Python environment of its own, so pip_packages cannot be added to it"
        )
    if options.base and not recipe.base:
        raise AirgapError(f"the image {recipe.name} is made from nothing, so it cannot take another base")
    if ":" in options.base:
        # Refuses what names no digest.
        pull_source(options.base, options.authfile, options.tls_verify)
    loose = [item for item in options.pip_packages if "==" not in item]
    if loose:
        raise AirgapError(
            f"pip_packages of the image {recipe.name} must be pinned, or the same inputs give other images: write {loose[0]}==VERSION"
        )


def _hash_folder(images: str, folder: str) -> dict[str, t.Any]:
    hashes = _hash_files(os.path.join(images, folder), list_image(images, folder))
    return {f"{folder}/{path}": value for path, value in hashes.items()}


def _hash_locks(images: str, folder: str, *locks: str) -> dict[str, t.Any]:
    paths = [os.path.normpath(os.path.join(folder, lock)) for lock in locks]
    for path in paths:
        if not os.path.isfile(os.path.join(images, path)):
            raise AirgapError(f"{os.path.join(images, path)}, which the recipe of {folder} names, does not exist")
    return _hash_files(images, paths)


def _hash_files(root: str, paths: list[str]) -> dict[str, t.Any]:
    """What a file brings into a build: its content, and whether it can be run."""
    full = {path: os.path.join(root, path) for path in paths}
    return {path: [hash_file(where), os.access(where, os.X_OK)] for path, where in full.items()}
