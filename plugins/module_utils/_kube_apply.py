# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Server-side apply of documents, in a dry run and for good, and the wait for what they start. I/O."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._kube import (
    KubeClient,
    KubeError,
    Object,
    api_path,
    read_secret_object,
)
from ansible_collections.airgap.mlops.plugins.module_utils._kube_objects import (
    MANAGER,
    Document,
    config_checksum,
    pod_inputs,
    with_checksums,
)
from ansible_collections.airgap.mlops.plugins.module_utils._rollout import missing, newest_form, pod_problem
from ansible_collections.airgap.mlops.plugins.module_utils._secrets import PENDING, checksum
from ansible_collections.airgap.mlops.plugins.module_utils._secrets_store import stored_secret

__all__ = ("ObjectStore", "Waiter")

_LOG_LINES = 5
_PAUSE = 1.0
# A pod that cannot start is given this long: what it lacks may come a moment after it.
_GRACE = 15.0


class ObjectStore:
    """The cluster's objects, by document."""

    def __init__(self, client: KubeClient, check_mode: bool) -> None:
        self.client = client
        self._check_mode = check_mode
        self._kinds: dict[str, dict[str, Object]] = {}

    def path(self, document: Document) -> str:
        kind = self._kind(document)
        namespace = document.namespace if kind["namespaced"] else ""
        return api_path(document.api_version, kind["name"], namespace, document.name)

    def _kind(self, document: Document) -> Object:
        version = document.api_version
        if version not in self._kinds:
            path = f"/{'apis' if '/' in version else 'api'}/{version}"
            found = self.client.find(path, doing=f"ask which kinds {version} has")
            resources = found["resources"] if found else []
            self._kinds[version] = {entry["kind"]: entry for entry in resources if "/" not in entry["name"]}
        if document.kind not in self._kinds[version]:
            raise KubeError(f"{document}: this cluster knows no kind {document.kind} of {version}")
        return self._kinds[version][document.kind]

    def with_inputs(self, documents: list[Document]) -> list[Document]:
        """The same documents; in workloads stand the checksums of what their pods read."""
        given = {(d.namespace, d.name): d.body for d in documents if d.kind == "ConfigMap"}
        return [self._with_inputs(document, given) if document.is_workload else document for document in documents]

    def _with_inputs(self, document: Document, given: t.Mapping[tuple[str, str], Object]) -> Document:
        secrets, config_maps = pod_inputs(document)
        checksums: dict[str, str] = {}
        for name in config_maps:
            config_map = given.get((document.namespace, name)) or self._read("configmaps", document, name)
            checksums[name] = PENDING if config_map is None else config_checksum(config_map)
        for name in secrets:
            found = read_secret_object(self.client, document.namespace, name)
            if found is None:
                self._needs(document, f"secret {document.namespace}/{name}")
            secret = stored_secret(found) if found else None
            own = checksum(secret.uid, secret.data) if secret else PENDING
            checksums[name] = "-".join([own, *([checksums[name]] if name in checksums else [])])
        return with_checksums(document, checksums)

    def _read(self, plural: str, document: Document, name: str) -> Object | None:
        path = api_path("v1", plural, document.namespace, name)
        found = self.client.find(path, doing=f"read {plural} {document.namespace}/{name}")
        if found is None:
            self._needs(document, f"ConfigMap {document.namespace}/{name}")
        return found

    def _needs(self, document: Document, what: str) -> None:
        """In check mode it may be about to be made; in a real run it would be there by now."""
        if not self._check_mode:
            raise KubeError(
                f"{document} cannot start without {what}, which does not exist. Nothing was changed. Secrets of the "
                "platform are made by role platform (platform_secrets, platform_extra_secrets)."
            )

    def look(self, documents: list[Document]) -> list[tuple[Document, Object | None, Object]]:
        """Each document, the object as it is, and as it would be. All are tried before the first one is written."""
        to_come: set[str] = set()
        found = []
        for document in documents:
            actual = self.client.find(self.path(document), doing=f"read {document}")
            if actual is None and document.kind == "Namespace":
                to_come.add(document.name)
            found.append((document, actual, self._tried(document, to_come)))
        return found

    def _tried(self, document: Document, to_come: set[str]) -> Object:
        try:
            return self.apply(document, dry_run=True)
        except KubeError as exc:
            if exc.status != 404 or not document.namespace:
                raise
            # Nothing can be tried in a namespace that is still to come.
            if self._check_mode or document.namespace in to_come:
                return document.body
            raise KubeError(
                f"{document} cannot be made: namespace {document.namespace} does not exist. Role platform makes it.",
                status=404,
            ) from exc

    def apply(self, document: Document, *, dry_run: bool = False) -> Object:
        query = {"fieldManager": MANAGER, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        body = document.body
        if self._kind(document)["namespaced"]:
            body = {**body, "metadata": {**body["metadata"], "namespace": document.namespace}}
        return self.client.apply(self.path(document), query=query, body=body, doing=f"apply {document}")


class Waiter:
    """Waits until workloads have come up. Asks anew each second: a watch would end with the API server's restart."""

    def __init__(self, store: ObjectStore, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._hopeless_since: dict[str, float] = {}

    def wait(self, documents: t.Iterable[Document]) -> None:
        started = time.monotonic()
        left = list(documents)
        while True:
            late = [(document, why) for document in left for why in [self._missing(document)] if why]
            if not late:
                return
            left = [document for document, _why in late]
            waited = time.monotonic() - started
            problems = [self._problem(document, why, waited >= self._seconds) for document, why in late]
            told = [problem for problem in problems if problem]
            if told:
                raise KubeError(f"{'; '.join(told)} (waited {waited:.0f} of {self._seconds:.0f} s)")
            time.sleep(_PAUSE)

    def _missing(self, document: Document) -> str:
        found = self._store.client.find(self._store.path(document), doing=f"read {document}")
        return missing(found) if found else "it is gone"

    def _problem(self, document: Document, why: str, over: bool) -> str:
        """What to tell once the time is over, or as soon as waiting is of no use."""
        problems = [(pod, problem) for pod in self._pods(document) for problem in [pod_problem(pod)] if problem]
        hopeless = [item for item in problems if item[1].hopeless]
        if hopeless:
            since = self._hopeless_since.setdefault(str(document), time.monotonic())
            over = over or time.monotonic() - since >= _GRACE
        else:
            self._hopeless_since.pop(str(document), None)
        if not over:
            return ""
        text = f"{document} in namespace {document.namespace} did not come up: {why}"
        for pod, problem in (hopeless or problems)[:2]:
            name = pod["metadata"]["name"]
            text += f". Pod {name}: {problem.text}"
            log = self._log(document.namespace, name, problem.container) if problem.container else ""
            text += f". Its log ends: {log}" if log else ""
        return text

    def _pods(self, document: Document) -> list[Object]:
        labels = document.body["spec"].get("selector", {}).get("matchLabels", {})
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}
        path = api_path("v1", "pods", document.namespace)
        pods: list[Object] = self._store.client.request("GET", path, query=query, doing=f"list the pods of {document}")[
            "items"
        ]
        return newest_form(sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True))

    def _log(self, namespace: str, pod: str, container: str) -> str:
        path = api_path("v1", "pods", namespace, pod, "log")
        try:
            query = {"container": container, "tailLines": str(_LOG_LINES)}
            text = self._store.client.text(path, query=query, doing=f"read the log of pod {pod}")
        except KubeError:
            return ""  # it has none yet
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())[-1000:]
