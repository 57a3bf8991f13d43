#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: node_files
short_description: Bring a set of directories, files and links on a node to a wanted state in one call
version_added: 1.0.0
author:
  - The airgap.mlops maintainers (@airgap-mlops)
description:
  - Compares all of them first, and then writes those that differ, in the order given, directories first.
  - Large files come from the controller and are named by their sha256, so that a converged node costs one round trip and no bytes.
    They arrive under another name on the same file system, are checked, and are renamed; a program that watches the directory, or runs the file,
    never sees half of it. Their modification time has whole seconds.
  - Text is written to a temporary file, synchronised and renamed.
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_node
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  directories:
    description: Directories.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      mode:
        description: Octal mode. Nothing is changed in a directory that is there, when this is not given.
        type: str
  files:
    description: Files. Each has one of O(files[].content), O(files[].secret_content) and O(files[].source).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Its directory has to exist or to be in O(directories).
        type: str
        required: true
      content:
        description: Text of the file.
        type: str
      secret_content:
        description: Text of the file that no log and no diff may show.
        type: str
      hidden_if:
        description:
          - Regular expression that finds a secret in a text. Where the text that is there, or the one that shall be there, has a match, no diff shows
            either. A text that is known to hold a secret belongs in O(files[].secret_content) all the same, or a log shows it.
        type: str
      source:
        description: Path on the controller. Needs O(files[].sha256).
        type: str
      sha256:
        description: Digest of O(files[].source).
        type: str
      staging:
        description: Directory in which a O(files[].source) arrives. It has to be on the same file system. By default the file's own directory.
        type: str
      mode:
        description: Octal mode.
        type: str
        default: "0644"
  links:
    description: Symbolic links.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: str
        required: true
      target:
        description: What it points to.
        type: str
        required: true
      yields:
        description: Whether to leave alone what is at the path already.
        type: bool
        default: false
  superseded:
    description: Files to be removed unless they are in O(files).
    type: list
    elements: dict
    default: []
    suboptions:
      pattern:
        description: Shell pattern of absolute paths.
        type: str
        required: true
      marker:
        description: Only files whose first line has this text are removed.
        type: str
notes:
  - Runs partly on the controller. The connection has to be able to send input to a command, as C(ssh) and C(local) do.
"""

EXAMPLES = r"""
- name: Install a program and its configuration
  airgap.mlops.node_files:
    directories:
      - {path: /etc/example, mode: "0755"}
    files:
      - path: /usr/local/bin/example
        source: "{{ bundle }}/files/example"
        sha256: "{{ manifest.sha256 }}"
        mode: "0755"
      - path: /etc/example/config.yaml
        content: "{{ lookup('ansible.builtin.template', 'config.yaml.j2') }}"
        mode: "0600"
"""

RETURN = r"""
actions:
  description: What was done, or would be done, in order.
  returned: success
  type: list
  elements: str
contents:
  description:
    - Files whose content was, or would be, written or removed, each with the sha256 that it then has. It is V(hidden) for one that holds a secret
      and null for one that is removed.
  returned: success
  type: dict
  sample: {/etc/example/config.yaml: 5f1c…}
bytes_sent:
  description: Bytes of O(files[].source) that went to the node.
  returned: success
  type: int
missing:
  description: Used between the two halves of this module. Files of which the node has no bytes yet.
  returned: success
  type: list
  elements: dict
"""

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._files import Wanted, plan_files, staged_path
from ansible_collections.airgap.mlops.plugins.module_utils._files_store import apply_step, find_superseded, read_state
from ansible_collections.airgap.mlops.plugins.module_utils._module import ReticentModule

ARGUMENT_SPEC: dict[str, t.Any] = {
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"path": {"type": "str", "required": True}, "mode": {"type": "str"}},
    },
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "content": {"type": "str"},
            "secret_content": {"type": "str", "no_log": True},
            "hidden_if": {"type": "str"},
            "source": {"type": "str"},
            "sha256": {"type": "str"},
            "staging": {"type": "str"},
            "mode": {"type": "str", "default": "0644"},
        },
        "mutually_exclusive": [("content", "secret_content", "source")],
        "required_one_of": [("content", "secret_content", "source")],
        "required_together": [("source", "sha256")],
    },
    "links": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "target": {"type": "str", "required": True},
            "yields": {"type": "bool", "default": False},
        },
    },
    "superseded": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"pattern": {"type": "str", "required": True}, "marker": {"type": "str"}},
    },
}


def _mode(text: str, path: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise AirgapError(
            f"mode {text!r} of {path} is no octal number. Write it in quotes, for example '0644'."
        ) from None


def _pattern(text: str | None, path: str) -> str:
    try:
        return re.compile(text or "").pattern
    except re.error as exc:
        raise AirgapError(f"hidden_if {text!r} of {path} is no regular expression: {exc}.") from None


def wanted_paths(params: t.Mapping[str, t.Any]) -> list[Wanted]:
    """What the options ask for, directories first."""
    wanted = []
    for item in params["directories"]:
        path = item["path"]
        if item["mode"] is not None or not os.path.isdir(path):
            wanted.append(Wanted("directory", path, _mode(item["mode"] or "0755", path)))
    for item in params["files"]:
        content = item["content"] if item["secret_content"] is None else item["secret_content"]
        wanted.append(
            Wanted(
                "file",
                item["path"],
                _mode(item["mode"], item["path"]),
                sha256=item["sha256"] or "",
                content=content,
                secret=item["secret_content"] is not None,
                hidden_if=_pattern(item["hidden_if"], item["path"]),
                staging=item["staging"] or "",
            ),
        )
    wanted += [Wanted("link", item["path"], target=item["target"], yields=item["yields"]) for item in params["links"]]
    return wanted


def run(module: AnsibleModule) -> dict[str, t.Any]:
    wanted = wanted_paths(module.params)
    superseded = [
        path for item in module.params["superseded"] for path in find_superseded(item["pattern"], item["marker"])
    ]
    states = {
        item.path: read_state(item.path, with_text=item.content is not None and not item.secret) for item in wanted
    }
    states.update({path: read_state(path) for path in superseded})
    plan = plan_files(wanted, states, superseded)
    missing = [
        {"path": item.path, "staged": staged_path(item)}
        for item in plan.installs
        if not os.path.exists(staged_path(item))
    ]
    if not module.check_mode and not missing:
        for step in plan.steps:
            apply_step(step)
            if step.wanted and step.wanted.kind != "link":
                module.set_default_selinux_context(step.path, False)
    elif not module.check_mode:
        # The bytes come next, and their directories have to be there.
        for step in plan.steps:
            if step.verb == "mkdir":
                apply_step(step)
    result: dict[str, t.Any] = {
        "changed": plan.changed,
        "actions": [f"{step.verb} {step.path}" for step in plan.steps],
        "contents": plan.contents,
        "missing": missing,
        "bytes_sent": 0,
    }
    if module._diff:
        result["diff"] = list(plan.diffs)
    return result


def main() -> None:
    module = ReticentModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(
            msg=f"{exc.filename or 'A file'} on the node: {exc.strerror or exc}. Nothing after it was written; run this again once that is mended."
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
