#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_images
short_description: Make a node's containerd hold exactly the images of a bundle
version_added: 1.0.0
author:
  - The airgap.mlops maintainers (@airgap-mlops)
description:
  - Asks the node which blobs it has, and sends only the missing ones, in one stream that is imported while it arrives. No archive is
    written on the node or on the controller.
  - Compares images by digest, never by name. An image whose content is not whole, or not unpacked, is imported again, so that a run
    that was cut off is finished by the next one.
  - Pins the images against the kubelet's garbage collection, and marks them with the release that brought them.
  - Removes what older releases brought, but for the O(keep_releases) releases before this one, and but for images that containers still use.
    Images that this module did not bring are never touched.
extends_documentation_fragment:
  - airgap.mlops._k3s
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_k3s
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  bundle:
    description:
      - Path of the bundle's directory on the controller.
    type: path
    required: true
  images:
    description:
      - The images to be held. Taken from the bundle; cannot be given.
    type: list
    elements: dict
    suboptions:
      reference:
        description: Reference that pods use.
        type: str
        required: true
      digest:
        description: Digest of the manifest.
        type: str
        required: true
  keep_releases:
    description:
      - How many releases before this one keep their images on the node, so that going back to them moves no bytes.
    type: int
    default: 1
  prune:
    description:
      - Whether to remove the images of older releases.
    type: bool
    default: true
  release:
    description:
      - Version of the bundle. Taken from the bundle; cannot be given.
    type: str
  transfer_timeout:
    description:
      - Seconds after which the node gives up waiting for the rest of the stream.
    type: int
    default: 14400
notes:
  - Runs partly on the controller. The connection has to be able to send input to a command, as C(ssh) and C(local) do.
seealso:
  - module: airgap.mlops.k3s_images_info
"""

EXAMPLES = r"""
- name: Hold the bundle's images
  airgap.mlops.k3s_images:
    bundle: build/bundle

- name: Hold them, and keep the images of the last two releases
  airgap.mlops.k3s_images:
    bundle: /media/usb/bundle
    keep_releases: 2
"""

RETURN = r"""
actions:
  description: What was done, or would be done, in order.
  returned: success
  type: list
  elements: str
bytes_needed:
  description: Size of the blobs that the node lacked.
  returned: success
  type: int
bytes_sent:
  description: Bytes of the stream that went to the node. V(0) in check mode and when nothing was missing.
  returned: success
  type: int
images:
  description: The references that the node holds now, by name in the manifest.
  returned: success
  type: dict
release:
  description: Version of the bundle.
  returned: success
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_k3s import K3S_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._ctr import Ctr
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._images import WantedImage, plan_images

# The action plugin reads `bundle`, and fills in `images` and `release`.
ARGUMENT_SPEC: dict[str, t.Any] = {
    "bundle": {"type": "path", "required": True},
    "images": {
        "type": "list",
        "elements": "dict",
        "options": {"reference": {"type": "str", "required": True}, "digest": {"type": "str", "required": True}},
    },
    "keep_releases": {"type": "int", "default": 1},
    "prune": {"type": "bool", "default": True},
    "release": {"type": "str"},
    "transfer_timeout": {"type": "int", "default": 14400},
    **K3S_ARGS,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Label, remove and verify. The action plugin has imported what was missing."""
    ctr = Ctr(module.run_command, module.params["k3s"])
    present = ctr.list_images()
    plan = plan_images(
        wanted=[WantedImage(**image) for image in module.params["images"] or []],
        present=present,
        release=module.params["release"],
        prune=module.params["prune"],
        keep_releases=module.params["keep_releases"],
        in_use=ctr.digests_in_use(present),
    )
    if plan.imports:
        names = ", ".join(f"{image.reference} ({image.digest})" for image in plan.imports)
        raise AirgapError(
            f"containerd imported the bundle without an error, yet it lacks all or part of: {names}. "
            "See agent/containerd/containerd.log in k3s' data directory; running this again imports them again.",
        )
    if not module.check_mode:
        for name in plan.relabels:
            ctr.label(name, plan.labels)
        ctr.remove(plan.removals)
    return {"changed": plan.changed, "actions": plan.actions}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
