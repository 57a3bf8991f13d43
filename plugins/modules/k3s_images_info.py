#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_images_info
short_description: Read which images and blobs the containerd of k3s has
version_added: 1.0.0
author:
  - The airgap.mlops maintainers (@airgap-mlops)
description:
  - Lists image records with their digests and labels, and the blobs of the content store, in containerd's namespace C(k8s.io).
  - A node on which containerd does not answer is no error. RV(available) says so, and the lists are empty.
extends_documentation_fragment:
  - airgap.mlops._k3s
  - airgap.mlops._attributes
  - airgap.mlops._attributes.info_module
  - airgap.mlops._attributes.actiongroup_k3s
options:
  blobs:
    description:
      - Whether to list the blobs, too.
    type: bool
    default: true
seealso:
  - module: airgap.mlops.k3s_images
"""

EXAMPLES = r"""
- name: Read what the node holds
  airgap.mlops.k3s_images_info:
  register: held

- name: Show the images that no garbage collection takes away
  ansible.builtin.debug:
    msg: "{{ held.images | selectattr('pinned') | map(attribute='name') | list }}"
"""

RETURN = r"""
available:
  description: Whether containerd answered.
  returned: always
  type: bool
reason:
  description: Why containerd did not answer.
  returned: when RV(available) is V(false)
  type: str
images:
  description: The image records.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The reference.
      type: str
    digest:
      description: Digest of the manifest or index.
      type: str
    labels:
      description: Labels of the record.
      type: dict
    pinned:
      description: Whether the kubelet's garbage collection leaves it alone.
      type: bool
    ready:
      description: Whether all its content is there and its layers are unpacked.
      type: bool
in_use:
  description: Digests of the images that containers were made from.
  returned: always
  type: list
  elements: str
blobs:
  description: Digests of the blobs in the content store.
  returned: when O(blobs=true)
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_k3s import K3S_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._ctr import Ctr
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._images import PIN_LABEL, PIN_VALUE, ImageRecord

ARGUMENT_SPEC: dict[str, t.Any] = {"blobs": {"type": "bool", "default": True}, **K3S_ARGS}


def _describe(record: ImageRecord) -> dict[str, t.Any]:
    return {
        "name": record.name,
        "digest": record.digest,
        "labels": dict(record.labels),
        "pinned": record.labels.get(PIN_LABEL) == PIN_VALUE,
        "ready": record.ready,
    }


def run(module: AnsibleModule) -> dict[str, t.Any]:
    ctr = Ctr(module.run_command, module.params["k3s"])
    result: dict[str, t.Any] = {"changed": False, "available": True, "images": [], "in_use": []}
    if module.params["blobs"]:
        result["blobs"] = []
    try:
        records = ctr.list_images()
        result["images"] = [_describe(record) for record in records]
        result["in_use"] = sorted(ctr.digests_in_use(records))
        if module.params["blobs"]:
            result["blobs"] = ctr.list_blobs()
    except AirgapError as exc:
        return {**result, "images": [], "in_use": [], "available": False, "reason": str(exc)}
    return result


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.exit_json(**run(module))


if __name__ == "__main__":
    main()
