# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Objects of Kubernetes as documents: which are acceptable, what their pods read, what differs. Pure."""

from __future__ import annotations

import copy
import hashlib
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._plan import StepPlan

__all__ = (
    "MANAGER",
    "Document",
    "ObjectStep",
    "check_documents",
    "config_checksum",
    "plan_objects",
    "pod_inputs",
    "with_checksums",
)

Object = dict[str, t.Any]

# Who owns the fields that are applied: https://kubernetes.io/docs/reference/using-api/server-side-apply/
MANAGER = "airgap-mlops"
WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet")
# Kept by the server: they differ between two looks at the same object, or say nothing about what was asked for.
_SERVERS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
_LONGEST_NAME = 63


@dataclass(frozen=True)
class Document:
    """One object as it is wanted."""

    body: Object
    namespace: str  # that it has when its kind lives in namespaces

    @property
    def api_version(self) -> str:
        return str(self.body["apiVersion"])

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def is_workload(self) -> bool:
        return self.kind in WORKLOADS and self.api_version == "apps/v1"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def check_documents(definition: t.Iterable[t.Any], namespace: str) -> list[Document]:
    """Those of the list that are not empty. Raises where one is no object, or is one that this is not for."""
    documents: list[Document] = []
    seen: set[tuple[str, str, str, str]] = set()
    for number, body in enumerate(definition, start=1):
        if body is None or body == {}:  # a template with nothing between two ---
            continue
        missing = [key for key in ("apiVersion", "kind") if not (isinstance(body, dict) and body.get(key))]
        metadata = body.get("metadata") if isinstance(body, dict) else None
        if missing or not isinstance(metadata, dict) or not metadata.get("name"):
            wanted = ", ".join(missing) or "metadata.name"
            raise AirgapError(f"document {number} of definition is no object of Kubernetes: it has no {wanted}")
        document = Document(body, str(metadata.get("namespace") or namespace))
        if document.kind == "Secret":
            raise AirgapError(
                f"document {number} of definition is {document}, whose values would show in diffs. "
                "airgap.mlops.kube_secrets (in the roles: platform_secrets, platform_extra_secrets) makes Secrets."
            )
        identity = (document.api_version, document.kind, document.namespace, document.name)
        if identity in seen:
            raise AirgapError(f"document {number} of definition is {document}, which an earlier one is already")
        seen.add(identity)
        documents.append(document)
    return documents


def pod_inputs(document: Document) -> tuple[list[str], list[str]]:
    """Names of the Secrets and of the ConfigMaps that a workload's pods cannot start without."""
    found: tuple[set[str], set[str]] = (set(), set())
    if document.is_workload:
        spec = document.body.get("spec", {}).get("template", {}).get("spec", {})
        for kind, name in _references(spec):
            found[kind == "ConfigMap"].add(name)
    return sorted(found[0]), sorted(found[1])


def _references(spec: Object) -> t.Iterator[tuple[str, str]]:
    for container in [*spec.get("initContainers", ()), *spec.get("containers", ())]:
        for source in container.get("envFrom", ()):
            yield from _named(source, "secretRef", "configMapRef", "name")
        for variable in container.get("env", ()):
            yield from _named(variable.get("valueFrom", {}), "secretKeyRef", "configMapKeyRef", "name")
    for volume in spec.get("volumes", ()):
        yield from _named(volume, "secret", "", "secretName")
        yield from _named(volume, "", "configMap", "name")
        for source in volume.get("projected", {}).get("sources", ()):
            yield from _named(source, "secret", "configMap", "name")


def _named(source: Object, secret: str, config: str, key: str) -> t.Iterator[tuple[str, str]]:
    for kind, field in (("Secret", secret), ("ConfigMap", config)):
        reference = source.get(field) or {}
        if reference.get(key) and not reference.get("optional"):
            yield kind, reference[key]


def config_checksum(config_map: Object) -> str:
    """A hash of what a ConfigMap holds, and of nothing else of it."""
    held = {key: config_map.get(key) or {} for key in ("binaryData", "data")}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:32]


def with_checksums(document: Document, checksums: t.Mapping[str, str]) -> Document:
    """The workload with an annotation for each thing its pods read, so that what changed brings new pods."""
    body = copy.deepcopy(document.body)
    metadata = body["spec"]["template"].setdefault("metadata", {})
    annotations = {f"checksum/{name[:_LONGEST_NAME].rstrip('-.')}": value for name, value in checksums.items()}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    return Document(body, document.namespace)


@dataclass(frozen=True)
class ObjectStep:
    """One object that is not as wanted."""

    document: Document
    before: Object | None
    after: Object

    def __str__(self) -> str:
        if self.before is None:
            return f"create {self.document}"
        fields = sorted(_changed_fields(self.before, self.after, ""))
        return f"change {self.document}: {', '.join(fields) or 'take its fields over'}"


def plan_objects(found: t.Iterable[tuple[Document, Object | None, Object]]) -> StepPlan[ObjectStep]:
    """Steps for the objects whose state after a dry run (third) is not the one that they have (second).

    An object that is still to come is shown as it was asked for: the server's defaults and addresses would be others
    in the real run.
    """
    steps = []
    for document, actual, tried in found:
        if actual is None:
            steps.append(ObjectStep(document, None, _cleaned(document.body)))
        elif _cleaned(actual) != _cleaned(tried) or _owned(actual) != _owned(tried):
            steps.append(ObjectStep(document, _cleaned(actual), _cleaned(tried)))
    return StepPlan(
        steps=tuple(steps),
        before={str(step.document): step.before for step in steps if step.before is not None},
        after={str(step.document): step.after for step in steps},
    )


def _cleaned(body: Object) -> Object:
    metadata = {key: value for key, value in body["metadata"].items() if key not in _SERVERS}
    return {**{key: value for key, value in body.items() if key != "status"}, "metadata": metadata}


def _owned(body: Object) -> t.Any:
    """The fields that we own. Without them a field that is later left out would stay."""
    entries = body["metadata"].get("managedFields", ())
    return [entry.get("fieldsV1") for entry in entries if entry["manager"] == MANAGER and entry["operation"] == "Apply"]


def _changed_fields(before: t.Any, after: t.Any, path: str) -> t.Iterator[str]:
    """Paths that differ, no deeper than a reader wants: spec.template, spec.replicas, data.KEY."""
    if isinstance(before, dict) and isinstance(after, dict) and path.count(".") < 2:
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key):
                yield from _changed_fields(before.get(key), after.get(key), f"{path}.{key}")
    else:
        yield path.lstrip(".")
