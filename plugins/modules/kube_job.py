#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: kube_job
version_added: 1.0.0
author: The airgap.mlops maintainers (@airgap-mlops)
short_description: Run a Job to its end, and return what it wrote
description:
  - Starts a Job, waits for its end, and returns its exit code, its log, and the JSON object that it wrote last, if any.
  - With O(once) the Job runs again only when its definition has changed, or when it failed. What it is called says what it is made of, so
    the cluster itself knows.
options:
  name:
    description: What the Job is called, before a hyphen and its content or its time.
    type: str
    required: true
  spec:
    description: The Job's C(spec). Mutually exclusive with O(cronjob).
    type: dict
  cronjob:
    description: Take the Job from the template of this CronJob.
    type: str
  args:
    description: Arguments that the first container gets beside those that it has.
    type: list
    elements: str
    default: []
  labels:
    description: Labels of the Job.
    type: dict
    default: {}
  once:
    description:
      - Leave a Job of the same content alone that ended well, and wait for one that runs. Those of O(name) with another content are removed
        once this one has ended well.
      - What it reads from a ConfigMap is no part of its spec. See O(content).
    type: bool
    default: false
  content:
    description:
      - With O(once) or O(exclusive), the text that says whether the Job is another one. Without it, its spec and labels do, images included.
    type: str
  exclusive:
    description:
      - There is one Job of O(name) at most, and none once its work is done. What an earlier run left is removed first, with its pods; one of
        the same content that still runs is waited for. One that has not ended after O(wait_timeout) is removed.
      - One that failed stays, so that its log can be read. Mutually exclusive with O(once).
    type: bool
    default: false
  exit_codes:
    description: Exit codes of its first container that count as success.
    type: list
    elements: int
    default: [0]
  wait_timeout:
    description: How long it may take, in seconds.
    type: int
    default: 600
extends_documentation_fragment:
  - airgap.mlops._attributes
  - airgap.mlops._attributes.actiongroup_kube
  - airgap.mlops._kube
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(once) only.
"""

EXAMPLES = r"""
- name: Measure bias now
  airgap.mlops.kube_job:
    name: bias-audit
    cronjob: bias-audit
    exit_codes: [0, 3]
  register: audit

- name: Copy a table, once
  airgap.mlops.kube_job:
    name: anonymise-people
    once: true
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: anonymise
              image: airgap.local/gateway:1.0.0-0123456789ab
"""

RETURN = r"""
job:
  description: Name of the Job.
  type: str
  returned: always
  sample: bias-audit-20260131t020000
exit_code:
  description: With what its first container ended. Not there in check mode.
  type: int
  returned: when it was waited for
log:
  description: What it wrote.
  type: str
  returned: when it was waited for
over:
  description: Whether nothing of the Job can do its work any more. Where this is false or missing, it may still run.
  type: bool
  returned: when the Job did not do its work
result:
  description: The last line of the log that is a JSON object.
  type: dict
  returned: when there is one
"""
import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.airgap.mlops.plugins.module_utils._args_kube import KUBE_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._job_run import Ended, JobRunner
from ansible_collections.airgap.mlops.plugins.module_utils._jobs import (
    JobError,
    build_job,
    content_hash,
    job_state,
    read_result,
)
from ansible_collections.airgap.mlops.plugins.module_utils._kube import kube_client

ARGUMENT_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "spec": {"type": "dict"},
    "cronjob": {"type": "str"},
    "args": {"type": "list", "elements": "str", "default": []},
    "labels": {"type": "dict", "default": {}},
    "once": {"type": "bool", "default": False},
    "content": {"type": "str"},
    "exclusive": {"type": "bool", "default": False},
    "exit_codes": {"type": "list", "elements": "int", "default": [0]},
    "wait_timeout": {"type": "int", "default": 600},
    **KUBE_ARGS,
}
_TAIL = 8  # lines of a log that an error repeats


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    once, exclusive = params["once"], params["exclusive"]
    runner = JobRunner(kube_client(params["kubeconfig"]), params["namespace"])
    job = _wanted(params, runner)
    name: str = job["metadata"]["name"]
    found = runner.find(name) if once or exclusive else None
    state = job_state(found) if found else "absent"
    start = state != "running" and not (once and state == "complete")
    changed = start or exclusive
    if module.check_mode:
        return {"changed": changed, "job": name}
    if exclusive:
        runner.remove_others(job)
    if start:
        if found:
            runner.remove(name)
        runner.start(job)
    ended = runner.wait(name, params["wait_timeout"], give_up=exclusive)
    _require_success(name, ended, params["exit_codes"])
    if once:
        runner.remove_others(job)
    if exclusive:
        runner.remove(name)
    result = {"changed": changed, "job": name, "exit_code": ended.exit_code, "log": ended.log}
    written = read_result(ended.log)
    return {**result, "result": written} if written is not None else result


def _wanted(params: dict[str, t.Any], runner: JobRunner) -> dict[str, t.Any]:
    labels, spec = params["labels"], params["spec"]
    if params["cronjob"]:
        template = runner.template_of(params["cronjob"])
        spec = template["spec"]
        labels = {**template.get("metadata", {}).get("labels", {}), **labels}
    known_by_content = params["once"] or params["exclusive"]
    suffix = content_hash(params["content"] or [spec, labels]) if known_by_content else _now()
    return build_job(
        name=params["name"],
        namespace=params["namespace"],
        spec=spec,
        args=params["args"],
        suffix=suffix,
        labels=labels,
    )


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dt%H%M%S")


def _require_success(name: str, ended: Ended, exit_codes: list[int]) -> None:
    if ended.state == "complete" or ended.exit_code in exit_codes:
        return
    tail = " | ".join(ended.log.splitlines()[-_TAIL:])
    raise JobError(
        f"Job {name} failed: {ended.why}." + (f" Its log ends: {tail}" if tail else ""), log=ended.log, over=True
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        mutually_exclusive=[("spec", "cronjob"), ("once", "exclusive")],
        required_one_of=[("spec", "cronjob")],
    )
    try:
        result = run(module)
    except AirgapError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
