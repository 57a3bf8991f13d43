#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_k3s
short_description: Bring a k3s release into the build cache
version_added: 1.0.0
description:
  - Finds the k3s binary and the archive of its core images for M(airgap.mlops.bundle), on the connected host.
  - A release is downloaded once and checked against the sums that are published with it.
author:
  - The airgap.mlops maintainers (@airgap-mlops)
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_bundle
  - airgap.mlops._bundle
  - airgap.mlops._bundle.cache
attributes:
  check_mode:
    support: partial
    details:
      - Tells whether the release would be downloaded. Its sums are only known once it is, so RV(k3s) is then empty.
  diff_mode:
    support: none
    details:
      - What changes lies in the cache and is not for reading.
  idempotent:
    support: full
options:
  source:
    description:
      - V(release) downloads O(version) from below O(url).
      - V(path) takes O(binary) and O(images) from this host. The version is what the binary says of itself.
    type: str
    choices: [release, path]
    default: release
  version:
    description: With O(source=release), the release, whole, as in V(v1.35.7+k3s1).
    type: str
  url:
    description: With O(source=release), the address below which each release has a folder, named by its version.
    type: str
    default: https://github.com/k3s-io/k3s/releases/download
  binary:
    description: With O(source=path), the k3s binary.
    type: path
  images:
    description:
      - With O(source=path), the archive of core images of the same version. Its name must end as k3s wants, for example in C(.tar.zst).
      - Its images must be for the bundle's architecture.
    type: path
  timeout:
    description: Seconds to wait for the server that has the release to answer.
    type: int
    default: 60
seealso:
  - module: airgap.mlops.bundle
"""

EXAMPLES = r"""
- name: Take a release
  airgap.mlops.bundle_k3s:
    version: v1.35.7+k3s1
  register: k3s

- name: Take files that are at hand
  airgap.mlops.bundle_k3s:
    source: path
    binary: /srv/k3s/k3s
    images: /srv/k3s/k3s-airgap-images-amd64.tar.zst
"""

RETURN = r"""
k3s:
  description: What M(airgap.mlops.bundle) takes as O(airgap.mlops.bundle#module:k3s). Empty in check mode when the release is not there yet.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the binary.
      type: str
    source:
      description: V(release) or V(path).
      type: str
    arch:
      description: Architecture of the binary.
      type: str
    binary:
      description: Path, SHA-256 and size of the binary.
      type: dict
    images:
      description: Path, SHA-256, size and suffix of the archive.
      type: dict
"""

import os
import subprocess
import typing as t
import urllib.error

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.urls import open_url

from ansible_collections.airgap.mlops.plugins.module_utils._args_bundle import ARCH_ARGS, CACHE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import Cache, default_cache
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import hash_file, save_stream
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import host_arch
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import YAML_IMPORT_ERROR
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import content_key
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_archive import check_archive
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_release import (
    Release,
    ReleaseError,
    binary_arch,
    image_suffix,
    parse_sums,
)
from ansible_collections.airgap.mlops.plugins.module_utils._versions import parse_version_output

ARGUMENT_SPEC: dict[str, t.Any] = {
    "source": {"type": "str", "choices": ["release", "path"], "default": "release"},
    "version": {"type": "str"},
    "url": {"type": "str", "default": "https://github.com/k3s-io/k3s/releases/download"},
    "binary": {"type": "path"},
    "images": {"type": "path"},
    "timeout": {"type": "int", "default": 60},
    **ARCH_ARGS,
    **CACHE_ARGS,
}
REQUIRED_IF = [("source", "release", ["version"]), ("source", "path", ["binary", "images"])]
_KIND = "k3s"


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    arch = params["arch"] or host_arch()
    if params["source"] == "path":
        return {"changed": False, "k3s": _from_path(params["binary"], params["images"], arch)}
    release = Release(params["url"], params["version"], arch)
    cache = Cache(params["cache"] or default_cache())
    key = content_key(url=release.url(""), arch=arch)
    found = _from_cache(cache, key, release)
    if found:
        return {"changed": False, "k3s": found}
    if not module.check_mode:
        _download(cache, key, release, params["timeout"])
        found = _from_cache(cache, key, release)
    return {"changed": True, "k3s": found or {}}


def _from_path(binary: str, images: str, arch: str) -> dict[str, t.Any]:
    for path in (binary, images):
        if not os.path.isfile(path):
            raise ReleaseError(f"k3s: {path} does not exist or is no file")
    suffix = image_suffix(images)
    with open(binary, "rb") as stream:
        found = binary_arch(stream.read(20), binary)
    if found != arch:
        raise ReleaseError(
            f"the k3s binary {binary} is for {found}, the bundle for {arch}: name the binary of that architecture"
        )
    version = _ask_version(binary, arch)
    check_archive(images, suffix, arch)
    return _describe("path", version, arch, binary, hash_file(binary), images, hash_file(images), suffix)


def _ask_version(binary: str, arch: str) -> str:
    if arch != host_arch():
        raise ReleaseError(
            f"{binary} is for {arch} and cannot say its version on this {host_arch()} host: use source release, or a host of that architecture"
        )
    try:
        # Not run_command: the binary may lack its executable bit where it was put, and that is worth a plain answer.
        output = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        raise ReleaseError(f"{binary} --version failed ({exc}): it must be an executable k3s binary") from exc
    version = parse_version_output(output)
    if not version:
        raise ReleaseError(f"{binary} --version says {output[:80]!r}, which names no k3s version")
    return version


def _from_cache(cache: Cache, key: str, release: Release) -> dict[str, t.Any] | None:
    """The release, checked once more against its sums: a cache is a place where things rot."""
    folder = cache.path(_KIND, key)
    binary, images, sums_file = (os.path.join(folder, name) for name in (release.binary, release.images, release.sums))
    try:
        with open(sums_file, encoding="utf-8") as stream:
            sums = parse_sums(stream.read(), sums_file, (release.binary, release.images))
        found = {path: hash_file(path) for path in (binary, images)}
    except FileNotFoundError:
        cache.discard(_KIND, key)
        return None
    if found != {binary: sums[release.binary], images: sums[release.images]}:
        cache.discard(_KIND, key)
        return None
    return _describe(
        "release", release.version, release.arch, binary, found[binary], images, found[images], image_suffix(images)
    )


def _download(cache: Cache, key: str, release: Release, timeout: int) -> None:
    with cache.workspace(_KIND) as work:
        made = os.path.join(work, "release")
        os.mkdir(made)
        sums_file = os.path.join(made, release.sums)
        _fetch(release.url(release.sums), sums_file, timeout)
        with open(sums_file, encoding="utf-8", errors="replace") as stream:
            sums = parse_sums(stream.read(), release.url(release.sums), (release.binary, release.images))
        for name in (release.binary, release.images):
            got = _fetch(release.url(name), os.path.join(made, name), timeout)
            if got != sums[name]:
                raise ReleaseError(
                    f"{release.url(name)} has the sha256 {got}, but {release.sums} of the same release says {sums[name]}: "
                    "nothing of it was kept. Try again; if it stays, do not trust this source",
                    url=release.url(name),
                    sha256=got,
                    expected=sums[name],
                )
        with open(os.path.join(made, release.binary), "rb") as stream:
            binary_arch(stream.read(20), release.url(release.binary))
        cache.publish(made, _KIND, key)


def _fetch(url: str, target: str, timeout: int) -> str:
    try:
        with open_url(url, timeout=timeout, http_agent="airgap.mlops") as response:
            return save_stream(response, target)
    except urllib.error.HTTPError as exc:
        raise ReleaseError(
            f"{url} answers {exc.code} {exc.reason}: check the version and the url of the release"
        ) from exc
    except (OSError, ValueError) as exc:
        raise ReleaseError(f"{url} cannot be downloaded: {exc}") from exc


def _describe(
    source: str, version: str, arch: str, binary: str, binary_sum: str, images: str, images_sum: str, suffix: str
) -> dict[str, t.Any]:
    return {
        "version": version,
        "source": source,
        "arch": arch,
        "binary": {"path": binary, "sha256": binary_sum, "size": os.path.getsize(binary)},
        "images": {"path": images, "sha256": images_sum, "size": os.path.getsize(images), "suffix": suffix},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, required_if=REQUIRED_IF, supports_check_mode=True)
    if YAML_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=YAML_IMPORT_ERROR)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
