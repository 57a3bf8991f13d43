#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_wheels
short_description: Bring the nodes' Python packages into the build cache
version_added: 1.0.0
description:
  - Downloads, on the connected host, the wheels of a lock for every Python and machine that a node may have, for
    M(airgap.mlops.bundle). Each is checked against its hash in the lock.
  - Where a package has a wheel that serves every Python, that one is taken.
author:
  - The airgap.mlops maintainers (@airgap-mlops)
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_bundle
  - airgap.mlops._bundle.cache
attributes:
  check_mode:
    support: partial
    details:
      - Tells whether wheels would be downloaded. Their names are only known once they are, so RV(wheels) is then empty.
  diff_mode:
    support: none
    details:
      - What changes lies in the cache and is not for reading.
  idempotent:
    support: full
options:
  requirements:
    description: The lock, pinned and with hashes, as C(uv pip compile --universal --generate-hashes) writes it.
    type: path
    required: true
  pythons:
    description: Versions of CPython to serve.
    type: list
    elements: str
    default: ["3.9", "3.10", "3.11", "3.12", "3.13"]
  machines:
    description: Machines to serve, as C(uname -m) names them, of V(x86_64) and V(aarch64).
    type: list
    elements: str
    default: [x86_64, aarch64]
seealso:
  - module: airgap.mlops.bundle
"""

EXAMPLES = r"""
- name: Fetch what nodes need
  airgap.mlops.bundle_wheels:
    requirements: playbooks/files/requirements-node.txt
  register: wheels
"""

RETURN = r"""
wheels:
  description: What M(airgap.mlops.bundle) takes as O(airgap.mlops.bundle#module:wheels). Empty in check mode when wheels are missing.
  returned: success
  type: dict
  contains:
    requirements:
      description: Path of the lock.
      type: str
    files:
      description: Name, path, SHA-256 and size of every wheel.
      type: list
      elements: dict
"""

import json
import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.airgap.mlops.plugins.module_utils._args_bundle import CACHE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import Cache, default_cache
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_files import hash_file
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import content_key
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_wheels import (
    MACHINES,
    PACKAGING_IMPORT_ERROR,
    Locked,
    LockError,
    Target,
    parse_lock,
    select,
)
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._wheelhouse import Wheelhouse

ARGUMENT_SPEC: dict[str, t.Any] = {
    "requirements": {"type": "path", "required": True},
    "pythons": {"type": "list", "elements": "str", "default": ["3.9", "3.10", "3.11", "3.12", "3.13"]},
    "machines": {"type": "list", "elements": "str", "default": ["x86_64", "aarch64"]},
    **CACHE_ARGS,
}
# Bump when the choice of wheels changes although the lock did not.
_GENERATION = 1
_KIND = "wheels"


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    targets = plan_targets(params["pythons"], params["machines"])
    try:
        with open(params["requirements"], encoding="utf-8") as stream:
            text = stream.read()
    except OSError as exc:
        raise LockError(f"the lock {params['requirements']} cannot be read: {exc.strerror}") from exc
    packages = parse_lock(text, params["requirements"])
    wanted = {target: select(packages, target) for target in targets}
    cache = Cache(params["cache"] or default_cache())
    key = content_key(
        generation=_GENERATION, lock=text, targets=[[target.python, target.machine] for target in targets]
    )
    files = _find(cache, key)
    changed = files is None
    if files is None and not module.check_mode:
        _fetch(cache, key, wanted)
        files = _find(cache, key)
    return {"changed": changed, "wheels": {"requirements": params["requirements"], "files": files} if files else {}}


def plan_targets(pythons: list[str], machines: list[str]) -> list[Target]:
    """Every Python on every machine, in a fixed order."""
    strange = [python for python in pythons if not re.fullmatch(r"3\.[0-9]+", python)]
    if strange:
        raise LockError(f"pythons: {strange[0]!r} is not a version such as 3.9")
    unknown = sorted(set(machines) - set(MACHINES))
    if unknown:
        raise LockError(f"machines: {unknown[0]!r} is none of {', '.join(MACHINES)}")
    ordered = sorted(set(pythons), key=lambda python: int(python.partition(".")[2]))
    return [Target(python, machine) for python in ordered for machine in sorted(set(machines), reverse=True)]


def _find(cache: Cache, key: str) -> list[dict[str, t.Any]] | None:
    folder = cache.path(_KIND, key)
    try:
        with open(os.path.join(folder, "wheels.json"), encoding="utf-8") as stream:
            listed = json.load(stream)
        files = [{**item, "path": os.path.join(folder, item["name"])} for item in listed]
        whole = all(os.path.getsize(item["path"]) == item["size"] for item in files)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        cache.discard(_KIND, key)
        return None
    return files


def _fetch(cache: Cache, key: str, wanted: dict[Target, list[Locked]]) -> None:
    with cache.workspace(_KIND) as work:
        made = os.path.join(work, "wheels")
        house = Wheelhouse(Host(cache.log("wheels")), made)
        house.fetch_for_all(wanted)
        house.prefer_pure(list({item.pin: item for items in wanted.values() for item in items}.values()))
        listed = [
            {
                "name": name,
                "sha256": hash_file(os.path.join(made, name)),
                "size": os.path.getsize(os.path.join(made, name)),
            }
            for name in house.names()
        ]
        with open(os.path.join(made, "wheels.json"), "w", encoding="utf-8") as stream:
            json.dump(listed, stream, indent=1)
        cache.publish(made, _KIND, key)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if PACKAGING_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("packaging"), exception=PACKAGING_IMPORT_ERROR)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
