#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_image
short_description: Bring one container image into the build cache
version_added: 1.0.0
description:
  - Builds, pulls or unpacks one image on the connected host, so that M(airgap.mlops.bundle) can put it into a bundle.
  - The result lies in the cache under a key of everything it was made from. While nothing of that changed, the module only looks
    it up. What the commands say while they run can be followed in C(logs/NAME.log) in the cache.
  - Building needs C(buildah), C(skopeo), C(zstd) and C(mmdebstrap), and a user who may use them (root, as tested).
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
      - Tells whether the image would be made. Its digest is only known once it is, so RV(image) is then empty.
  diff_mode:
    support: none
    details:
      - What changes lies in the cache and is not for reading.
  idempotent:
    support: full
options:
  name:
    description: Short name of the image in the bundle, such as V(mlflow).
    type: str
    required: true
  source:
    description:
      - V(build) makes it from the folder O(name) below O(images).
      - V(pull) copies it from a registry by its digest.
      - V(archive) takes it from a file that C(docker save), C(podman save) or C(skopeo) wrote.
    type: str
    choices: [build, pull, archive]
    default: build
  images:
    description: Directory with one folder for each image that can be built.
    type: path
  image:
    description:
      - With O(source=pull), the image with its digest, as in V(docker://registry.example/postgres@sha256:0123...).
      - With O(source=archive), the name of the image in the archive. Needed when it holds more than one.
    type: str
  archive:
    description: With O(source=archive), the file.
    type: path
  version:
    description: Version to show in the bundle. Required unless O(source=build), where the image itself is asked.
    type: str
  authfile:
    description: With O(source=pull), or with a O(base) from a registry, a file with credentials as C(skopeo login) writes it.
    type: path
  tls_verify:
    description: With O(source=pull), or with a O(base) from a registry, whether it must show a valid certificate.
    type: bool
    default: true
  base:
    description:
      - With O(source=build), another base than the recipe names. Either another folder of O(images), or an image with its digest,
        as in V(docker://registry.example/python@sha256:0123...).
    type: str
    default: ""
  python:
    description: With O(base), the version of its Python, for which wheels are chosen, if it is another than the recipe's.
    type: str
    default: ""
  packages:
    description: With O(source=build), further system packages.
    type: list
    elements: str
    default: []
  pip_packages:
    description: With O(source=build), further Python packages, pinned as C(NAME==VERSION). The packages of the image's own lock stay as they are.
    type: list
    elements: str
    default: []
  files:
    description:
      - With O(source=build), files that no package holds, for recipes that know what to do with them. They lie under C(inputs/) of the build.
      - A URL under which nothing answers is no error. The image is then built without the file, and a warning says so.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name that the recipe knows the file by.
        type: str
        required: true
      source:
        description: Its path on this host, or its URL.
        type: str
        required: true
      sha256:
        description: Its sum. A file with another is refused.
        type: str
        required: true
  timeout:
    description: Seconds without an answer after which a URL of O(files) counts as unreachable.
    type: int
    default: 60
  debian_mirror:
    description:
      - Debian mirror for the base and for packages, instead of the one that C(mmdebstrap) takes by itself.
      - A snapshot's address makes builds of any day give the same digests.
    type: str
    default: ""
  refresh:
    description: Any text. Another one makes the image again although no file changed, to take in updates of its packages.
    type: str
    default: ""
  timestamp:
    description: The time, in seconds since 1970, that files and images carry, so that the same inputs give the same digests.
    type: int
    default: 1767225600
  compression_level:
    description: Level of zstd for layers that are not compressed yet.
    type: int
    default: 3
seealso:
  - module: airgap.mlops.bundle
"""

EXAMPLES = r"""
- name: Build MLflow with two packages more
  airgap.mlops.bundle_image:
    name: mlflow
    images: images
    pip_packages: [prophet==1.1.7]
    packages: [libgomp1]
  register: mlflow

- name: Take PostgreSQL from a registry
  airgap.mlops.bundle_image:
    name: postgresql
    source: pull
    image: docker://registry.example/postgres@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    version: "17.12"
"""

RETURN = r"""
image:
  description: What M(airgap.mlops.bundle) takes as one of O(airgap.mlops.bundle#module:images). Empty in check mode when the image is not there yet.
  returned: success
  type: dict
  contains:
    name:
      description: Short name.
      type: str
    version:
      description: Version.
      type: str
    source:
      description: Where it came from.
      type: str
    arch:
      description: Architecture.
      type: str
    digest:
      description: Digest of its manifest.
      type: str
    facts:
      description: What the image answered to the commands of its recipe.
      type: dict
    layers:
      description: Digest, stored size and unpacked size of each layer.
      type: list
      elements: dict
built:
  description: The images that were built, bases included.
  returned: success
  type: list
  elements: str
"""

import os
import typing as t
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._args_bundle import ARCH_ARGS, CACHE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_build import ImageBuilder
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import Cache, default_cache
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_facts import find_facts
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_fetch import NamedFile, Unreachable, find_file
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host, host_arch
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_import import ImageImporter, ImportOptions
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_inputs import BuildOptions, LaidIn, read_recipe
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import YAML_IMPORT_ERROR
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import Recipe
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_store import ImageStore, StoredImage
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_wheels import PACKAGING_IMPORT_ERROR
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

ARGUMENT_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "source": {"type": "str", "choices": ["build", "pull", "archive"], "default": "build"},
    "images": {"type": "path"},
    "image": {"type": "str"},
    "archive": {"type": "path"},
    "version": {"type": "str"},
    "authfile": {"type": "path"},
    "tls_verify": {"type": "bool", "default": True},
    "base": {"type": "str", "default": ""},
    "python": {"type": "str", "default": ""},
    "packages": {"type": "list", "elements": "str", "default": []},
    "pip_packages": {"type": "list", "elements": "str", "default": []},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "source": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
        },
    },
    "timeout": {"type": "int", "default": 60},
    "debian_mirror": {"type": "str", "default": ""},
    "refresh": {"type": "str", "default": ""},
    "timestamp": {"type": "int", "default": 1767225600},
    "compression_level": {"type": "int", "default": 3},
    **ARCH_ARGS,
    **CACHE_ARGS,
}
REQUIRED_IF = [
    ("source", "build", ["images"]),
    ("source", "pull", ["image", "version"]),
    ("source", "archive", ["archive", "version"]),
]


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    arch = params["arch"] or host_arch()
    cache = Cache(params["cache"] or default_cache())
    store, host = ImageStore(cache), Host(cache.log(params["name"]))
    image: StoredImage | None
    if params["source"] == "build":
        files = _find_files(module, cache)
        if files is None:
            return {"changed": True, "image": {}, "built": []}
        builder = ImageBuilder(store, host, build=not module.check_mode)
        image = builder.ensure(params["name"], _build_options(params, arch, files))
        made = builder.built
    else:
        importer = ImageImporter(store, host, fetch=not module.check_mode)
        image = importer.ensure(_import_options(params, arch))
        made = importer.fetched
    facts = find_facts(store, host, image, _questions(params), ask=not module.check_mode) if image else None
    if image is None or facts is None:
        return {"changed": True, "image": {}, "built": []}
    described = {**image.to_dict(), "name": params["name"], "source": params["source"]}
    described["version"] = params["version"] or facts.get("version", "")
    described["facts"] = {key: value for key, value in facts.items() if key != "version"}
    return {"changed": bool(made), "image": described, "built": made}


def _questions(params: dict[str, t.Any]) -> Recipe:
    """A recipe of this name knows what to ask; the version only where it is not given."""
    name, images = params["name"], params["images"]
    if not images or not os.path.exists(os.path.join(images, name, "image.yml")):
        return Recipe(name)
    recipe = read_recipe(images, name)
    facts = {key: command for key, command in recipe.facts.items() if key != "version" or not params["version"]}
    return replace(recipe, facts=facts)


def _find_files(module: AnsibleModule, cache: Cache) -> tuple[LaidIn, ...] | None:
    """Name, sum and place of each file that can be had. In check mode: None when one would be fetched."""
    found: list[LaidIn] = []
    for wanted in (NamedFile(**item) for item in module.params["files"]):
        try:
            path = find_file(wanted, cache, fetch=not module.check_mode, timeout=module.params["timeout"])
        except Unreachable as exc:
            module.warn(f"The image {module.params['name']} is made without {wanted.name}: {exc}")
            continue
        if path is None:
            return None
        found.append((wanted.name, wanted.sha256, path))
    return tuple(found)


def _build_options(params: dict[str, t.Any], arch: str, files: tuple[LaidIn, ...]) -> BuildOptions:
    return BuildOptions(
        images=params["images"],
        arch=arch,
        compression_level=params["compression_level"],
        timestamp=params["timestamp"],
        debian_mirror=params["debian_mirror"],
        refresh=params["refresh"],
        base=params["base"],
        python=params["python"],
        packages=tuple(params["packages"]),
        pip_packages=tuple(params["pip_packages"]),
        files=files,
        authfile=params["authfile"],
        tls_verify=params["tls_verify"],
    )


def _import_options(params: dict[str, t.Any], arch: str) -> ImportOptions:
    return ImportOptions(
        name=params["name"],
        arch=arch,
        compression_level=params["compression_level"],
        image=params["image"] or "",
        archive=params["archive"],
        authfile=params["authfile"],
        tls_verify=params["tls_verify"],
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, required_if=REQUIRED_IF, supports_check_mode=True)
    for library, error in (("PyYAML", YAML_IMPORT_ERROR), ("packaging", PACKAGING_IMPORT_ERROR)):
        if error:
            module.fail_json(msg=missing_required_lib(library), exception=error)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
