#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_info
short_description: Verify a bundle and return its manifest
version_added: 1.0.0
description:
  - Reads a bundle on the controller and compares every file of it with the manifest, by size and SHA-256.
  - A manifest that was changed, a file that is missing, damaged or does not belong to the bundle, a format that is newer than this
    release of the collection, and images for another architecture each fail with one message that names the file and the way out.
author:
  - The airgap.mlops maintainers (@airgap-mlops)
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_bundle
  - airgap.mlops._bundle
options:
  path:
    description: Directory of the bundle.
    type: path
    required: true
seealso:
  - module: airgap.mlops.bundle
"""

EXAMPLES = r"""
- name: Verify the bundle before anything is changed on a node
  airgap.mlops.bundle_info:
    path: build/bundle
    arch: amd64
  delegate_to: localhost
  run_once: true
  register: bundle

- name: Show which MLflow it brings
  ansible.builtin.debug:
    msg: "{{ bundle.manifest.images.mlflow.reference }}"
"""

RETURN = r"""
manifest:
  description: The bundle's manifest.
  returned: success
  type: dict
  contains:
    format:
      description: Version of the manifest's own format.
      type: int
    name:
      description: Always V(airgap-mlops).
      type: str
    version:
      description: Version of the bundle.
      type: str
    arch:
      description: Architecture of every image and of the k3s binary.
      type: str
    k3s:
      description: Version and source of k3s, and the paths of its binary and its core images in the bundle.
      type: dict
    images:
      description: By name, each component's reference, version, digest, size, unpacked size, layers and source.
      type: dict
    mlflow:
      description: What the bundle's MLflow knows of its database.
      type: dict
      contains:
        schema_head:
          description: Alembic revision that its servers need.
          type: str
        schema_revisions:
          description: All revisions that it knows, oldest first, so that the last is RV(manifest.mlflow.schema_head).
          type: list
          elements: str
    size:
      description: Bytes of all files, of the images as stored, and of the images unpacked.
      type: dict
    files:
      description: Path, SHA-256 and size of every file but the manifest.
      type: list
      elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._args_bundle import ARCH_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._bundle import inspect_bundle
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import YAML_IMPORT_ERROR
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

ARGUMENT_SPEC: dict[str, t.Any] = {"path": {"type": "path", "required": True}, **ARCH_ARGS}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    manifest = inspect_bundle(module.params["path"], module.params["arch"])
    return {"changed": False, "manifest": manifest.data}


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
