#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Assemble a bundle for sealed sites
version_added: 1.0.0
description:
  - Brings a directory to hold exactly one bundle. All images lie in one content-addressed layout, so that layers which they share
    are there once; beside them the k3s binary with its core images, and the nodes' Python packages.
  - The manifest names every file with its SHA-256 and size. It is written last and at once, so a bundle without a manifest is an
    unfinished one. The same parts give the same bundle, byte for byte.
  - What is there already is read and compared by content. Only what differs is written, so a run with nothing new is quick, and a
    damaged file is mended.
author:
  - The airgap.mlops maintainers (@airgap-mlops)
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_bundle
  - airgap.mlops._bundle
  - airgap.mlops._bundle.cache
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - Directory of the bundle. It is made when it is missing.
      - A directory that holds other things is refused, because what does not belong to the bundle is removed.
    type: path
    required: true
  version:
    description: Version of the bundle.
    type: str
    required: true
  k3s:
    description: What M(airgap.mlops.bundle_k3s) returned as RV(airgap.mlops.bundle_k3s#module:k3s).
    type: dict
    required: true
  images:
    description: What M(airgap.mlops.bundle_image) returned as RV(airgap.mlops.bundle_image#module:image), for every image.
    type: list
    elements: dict
    required: true
  wheels:
    description: What M(airgap.mlops.bundle_wheels) returned as RV(airgap.mlops.bundle_wheels#module:wheels).
    type: dict
    required: true
seealso:
  - module: airgap.mlops.bundle_image
  - module: airgap.mlops.bundle_k3s
  - module: airgap.mlops.bundle_wheels
  - module: airgap.mlops.bundle_info
"""

EXAMPLES = r"""
- name: Assemble
  airgap.mlops.bundle:
    path: build/bundle
    version: 1.0.0
    k3s: "{{ k3s.k3s }}"
    images: "{{ images.results | map(attribute='image') | list }}"
    wheels: "{{ wheels.wheels }}"
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
bytes_written:
  description: Bytes of the files that were written.
  returned: success
  type: int
manifest:
  description: The bundle's manifest, as M(airgap.mlops.bundle_info) returns it. Absent in check mode while parts are missing.
  returned: success
  type: dict
path:
  description: Directory of the bundle.
  returned: success
  type: str
"""

import contextlib
import os
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._args_bundle import ARCH_ARGS, CACHE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import Cache, default_cache
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import (
    copy_checked,
    hash_files,
    walk_files,
    write_atomic,
)
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import host_arch
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import (
    MANIFEST,
    SIGNATURE,
    YAML_IMPORT_ERROR,
    BundleError,
)
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_plan import (
    BundlePlan,
    BundleSpec,
    NamedImage,
    WantedFile,
    plan_bundle,
    safe_wheel_path,
    wanted_bundle,
)
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_store import ImageStore, StoredImage
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

ARGUMENT_SPEC: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "version": {"type": "str", "required": True},
    "k3s": {"type": "dict", "required": True},
    "images": {"type": "list", "elements": "dict", "required": True},
    "wheels": {"type": "dict", "required": True},
    **ARCH_ARGS,
    **CACHE_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    path = params["path"]
    _check_ours(path)
    missing = _missing_parts(params)
    if missing:
        if not module.check_mode:
            raise BundleError(
                f"nothing is known of {', '.join(missing)}: hand over what the other bundle modules returned in this run"
            )
        return {
            "changed": True,
            "path": path,
            "actions": [f"make {part} first" for part in missing],
            "bytes_written": 0,
        }
    store = ImageStore(Cache(params["cache"] or default_cache()))
    files, data = wanted_bundle(_spec(params), store.blob)
    plan = plan_bundle(files, data, _read_actual(path, files), _read_manifest(path))
    if plan.changed and not module.check_mode:
        _apply(path, plan)
    result = {
        "changed": plan.changed,
        "path": path,
        "actions": plan.actions,
        "bytes_written": plan.bytes,
        "manifest": data,
    }
    return {**result, "diff": plan.diff} if module._diff else result


def _missing_parts(params: dict[str, t.Any]) -> list[str]:
    parts = [("k3s", params["k3s"]), ("the wheels", params["wheels"])]
    parts += [(f"image {number}", image) for number, image in enumerate(params["images"], start=1)]
    return [name for name, part in parts if not part]


def _spec(params: dict[str, t.Any]) -> BundleSpec:
    try:
        images = tuple(_named_image(dict(image)) for image in params["images"])
        wheels = [
            WantedFile(safe_wheel_path(item["name"]), item["sha256"], item["size"], item["path"])
            for item in params["wheels"]["files"]
        ]
        with open(params["wheels"]["requirements"], "rb") as stream:
            wheels.append(WantedFile.of_content("wheels/requirements.txt", stream.read()))
    except (KeyError, TypeError) as exc:
        raise BundleError(f"images or wheels are not what bundle_image and bundle_wheels returned: {exc!r}") from exc
    except OSError as exc:
        raise BundleError(f"the lock of the wheels cannot be read: {exc}") from exc
    return BundleSpec(params["version"], params["arch"] or host_arch(), params["k3s"], images, tuple(wheels))


def _named_image(image: dict[str, t.Any]) -> NamedImage:
    name, version, source, facts = (image.pop(key) for key in ("name", "version", "source", "facts"))
    return NamedImage(name, version, source, StoredImage.from_dict(image), facts)


def _check_ours(path: str) -> None:
    """Refuse to tidy up a directory that is not a bundle's alone."""
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise BundleError(f"{path} is a file, and a bundle is a directory: name another path")
    names = set(os.listdir(path))
    strangers = sorted(names - {"oci", "files", "wheels", MANIFEST, SIGNATURE})
    # What is written first is the layout's mark, so all that a run leaves behind that was cut off before is oci/.
    ours = names <= {"oci"} or any(os.path.exists(os.path.join(path, mark)) for mark in ("oci/oci-layout", MANIFEST))
    if strangers or not ours:
        raise BundleError(
            f"{path} holds {', '.join(strangers[:5] or sorted(names))}, and what does not belong to a bundle would be removed: "
            "name a directory that is new, empty or a bundle's alone"
        )


def _read_actual(path: str, files: list[WantedFile]) -> dict[str, str]:
    """The sha256 of what could be right; a wrong size needs no digest."""
    sizes = {item.path: item.size for item in files}
    present = {name: size for name, size in walk_files(path).items() if name not in (MANIFEST, SIGNATURE)}
    candidates = {
        name: size
        for name, size in present.items()
        if sizes.get(name) == size and not os.path.islink(os.path.join(path, name))
    }
    digests = hash_files(path, candidates)
    return {name: digests.get(name, f"({size} bytes)") for name, size in present.items()}


def _read_manifest(path: str) -> str | None:
    try:
        with open(os.path.join(path, MANIFEST), encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""


def _apply(path: str, plan: BundlePlan) -> None:
    # From here on the old manifest would promise what is no longer so; without one the bundle is plainly unfinished.
    for name in (MANIFEST, SIGNATURE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, name))
    first = [item for item in plan.writes if item.path == "oci/oci-layout"]
    for item in first:
        _write(path, item)
    for name in plan.removals:
        os.unlink(os.path.join(path, name))
    with ThreadPoolExecutor(max_workers=4) as pool:
        # list() so that an error in a thread is raised here
        list(pool.map(lambda item: _write(path, item), [item for item in plan.writes if item not in first]))
    _remove_empty_folders(path)
    write_atomic(os.path.join(path, MANIFEST), plan.manifest.encode())


def _write(path: str, item: WantedFile) -> None:
    target = os.path.join(path, item.path)
    if item.source:
        copy_checked(item.source, target, item.sha256, item.mode)
    else:
        write_atomic(target, item.content, item.mode)


def _remove_empty_folders(path: str) -> None:
    for folder, _folders, _names in os.walk(path, topdown=False):
        if folder != path and not os.listdir(folder):
            os.rmdir(folder)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if YAML_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=YAML_IMPORT_ERROR)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
