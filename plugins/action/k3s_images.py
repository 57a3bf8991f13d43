# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller half of the module k3s_images: reads the bundle, and streams to the node what it lacks."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.airgap.mlops.plugins.module_utils._args_k3s import K3S_ARGS
from ansible_collections.airgap.mlops.plugins.module_utils._bundle import image_blobs, read_manifest
from ansible_collections.airgap.mlops.plugins.module_utils._ctr import NAMESPACE
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._images import (
    ImagePlan,
    ImageRecord,
    WantedImage,
    plan_images,
)
from ansible_collections.airgap.mlops.plugins.modules.k3s_images import ARGUMENT_SPEC
from ansible_collections.airgap.mlops.plugins.plugin_utils._oci_stream import OciStream, missing_blobs, rechunk
from ansible_collections.airgap.mlops.plugins.plugin_utils._remote_pipe import PIECE_SIZE, RemotePipe

_FILLED_IN = ("images", "release")


def index_descriptors(bundle: str) -> dict[str, dict[str, t.Any]]:
    """Entries of the bundle's index.json by digest."""
    path = Path(bundle) / "oci" / "index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        return {entry["digest"]: entry for entry in index["manifests"]}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise AirgapError(
            f"{path} cannot be read as the index of an OCI layout: {exc}. Make the bundle again."
        ) from exc


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        # Half of the options are used here, where no module has made booleans and numbers of what may be text.
        _validated, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        given = [name for name in _FILLED_IN if args[name] is not None]
        if given or not args["bundle"]:
            problem = (
                f"{', '.join(given)} cannot be given: it comes from the bundle"
                if given
                else "bundle is required: the path of a bundle on the controller"
            )
            raise AnsibleActionFail(f"k3s_images: {problem}.")
        try:
            result.update(self._converge(args, task_vars or {}))
        except AirgapError as exc:
            raise AnsibleActionFail(str(exc), result=exc.details) from exc
        return result

    def _module(self, name: str, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = self._execute_module(module_name=name, module_args=args, task_vars=task_vars)
        if answer.get("failed"):
            raise AnsibleActionFail(answer.get("msg", f"{name} failed"), result=answer)
        return answer

    def _converge(self, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        bundle = args["bundle"]
        manifest = read_manifest(bundle)
        wanted = [WantedImage(image.reference, image.digest) for image in manifest.images.values()]
        # The defaults of the action group reach this plugin, not a module that it runs.
        shared = {key: value for key, value in args.items() if key in K3S_ARGS}
        held = self._module("airgap.mlops.k3s_images_info", shared, task_vars)
        if not held["available"] and not self._task.check_mode:
            raise AirgapError(f"containerd does not answer, so no image can be imported: {held['reason']}")

        plan = plan_images(
            wanted=wanted,
            present=[ImageRecord(r["name"], r["digest"], r["labels"], r["ready"]) for r in held["images"]],
            release=manifest.version,
            prune=args["prune"],
            keep_releases=args["keep_releases"],
            in_use=set(held["in_use"]),
        )
        stream = self._stream(bundle, plan, set(held["blobs"]))
        result: dict[str, t.Any] = {
            "changed": plan.changed,
            "actions": plan.actions,
            "bytes_needed": sum(blob.size for blob in stream.blobs),
            "bytes_sent": 0,
            "images": {name: image.reference for name, image in manifest.images.items()},
            "release": manifest.version,
        }
        if self._task.diff:
            result["diff"] = plan.diff
        if plan.changed and not self._task.check_mode:
            if plan.imports:
                self._import(stream, plan, args)
                result["bytes_sent"] = stream.size
            images = [{"reference": image.reference, "digest": image.digest} for image in wanted]
            self._module("airgap.mlops.k3s_images", {**args, "images": images, "release": manifest.version}, task_vars)
        return result

    def _stream(self, bundle: str, plan: ImagePlan, present: set[str]) -> OciStream:
        descriptors = index_descriptors(bundle)
        absent = [image.reference for image in plan.imports if image.digest not in descriptors]
        if absent:
            raise AirgapError(
                f"{bundle}/oci/index.json does not list {', '.join(absent)}, which {bundle}/manifest.yml names. Make the bundle again."
            )
        needed = [blob for image in plan.imports for blob in image_blobs(bundle, image.digest)]
        return OciStream(
            layout=Path(bundle) / "oci",
            descriptors={image.reference: descriptors[image.digest] for image in plan.imports},
            blobs=missing_blobs(needed, present),
        )

    def _import(self, stream: OciStream, plan: ImagePlan, args: dict[str, t.Any]) -> None:
        """The labels go in with the import: an image is pinned from the moment it exists."""
        labels = [part for key, value in sorted(plan.labels.items()) for part in ("--label", f"{key}={value}")]
        command = [
            args["k3s"],
            "ctr",
            "-n",
            NAMESPACE,
            "images",
            "import",
            "--all-platforms",
            *labels,
            "-",
        ]
        pipe = RemotePipe(self._execute_on_node, args["transfer_timeout"])
        try:
            answer = pipe.run(command, rechunk(stream, PIECE_SIZE), stream.size)
        except OSError as exc:
            raise AirgapError(f"The bundle could not be read: {exc}") from exc
        if answer.rc != 0:
            references = ", ".join(image.reference for image in plan.imports)
            raise AirgapError(
                f"containerd refused the import of {references} (exit code {answer.rc}): {answer.output}. "
                "Nothing was removed; running this again sends what is still missing.",
            )

    def _execute_on_node(self, command: str, data: bytes) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = self._low_level_execute_command(command, in_data=data)
        return answer


__all__ = ("ActionModule", "index_descriptors")
