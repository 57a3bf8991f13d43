# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._kube_objects import (
    MANAGER,
    Document,
    check_documents,
    config_checksum,
    plan_objects,
    pod_inputs,
    with_checksums,
)

Object = dict[str, t.Any]


def config_map(name: str = "a", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(**pod: t.Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"replicas": 1, "template": {"metadata": {}, "spec": {"containers": [], **pod}}},
    }


def test_documents_get_a_namespace_and_empty_ones_are_left_out() -> None:
    own = {**config_map("b"), "metadata": {"name": "b", "namespace": "other"}}
    found = check_documents([None, {}, config_map(), own], "mlops")
    assert [(str(document), document.namespace) for document in found] == [
        ("ConfigMap a", "mlops"),
        ("ConfigMap b", "other"),
    ]


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (["text"], "document 1 of definition is no object of Kubernetes: it has no apiVersion, kind"),
        ([{"kind": "Pod", "metadata": {"name": "a"}}], "it has no apiVersion"),
        ([{"apiVersion": "v1", "kind": "Pod"}], "it has no metadata.name"),
        ([{"apiVersion": "v1", "kind": "Pod", "metadata": {}}], "it has no metadata.name"),
        ([config_map(), config_map()], "document 2 of definition is ConfigMap a, which an earlier one is already"),
        (
            [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hidden"}}],
            "Secret s, whose values would show in diffs",
        ),
    ],
)
def test_what_is_no_object_of_ours_is_refused(definition: list[t.Any], message: str) -> None:
    with pytest.raises(AirgapError, match=message) as caught:
        check_documents(definition, "mlops")
    assert "hidden" not in str(caught.value)


POD = {
    "initContainers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "init", "key": "k"}}}]}],
    "containers": [
        {
            "env": [
                {"name": "PLAIN", "value": "x"},
                {"name": "FIELD", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
                {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "key", "key": "k"}}},
                {"name": "O", "valueFrom": {"secretKeyRef": {"name": "perhaps", "key": "k", "optional": True}}},
            ],
            "envFrom": [{"configMapRef": {"name": "all"}}, {"secretRef": {"name": "from"}}],
        }
    ],
    "volumes": [
        {"name": "e", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "mounted"}},
        {"name": "c", "configMap": {"name": "files"}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "piece"}}]}},
    ],
}


def test_everything_that_a_pod_reads_is_found() -> None:
    secrets, config_maps = pod_inputs(Document(deployment(**POD), "mlops"))
    assert secrets == ["from", "init", "mounted", "part"]
    assert config_maps == ["all", "files", "key", "piece"]


def test_other_kinds_read_nothing() -> None:
    job = {**deployment(**POD), "apiVersion": "batch/v1", "kind": "Job"}
    assert pod_inputs(Document(job, "mlops")) == ([], [])


def test_checksums_go_to_the_pods_and_leave_the_document_alone() -> None:
    document = Document(deployment(), "mlops")
    document.body["spec"]["template"]["metadata"]["annotations"] = {"own": "kept", "checksum/s": "stale"}
    found = with_checksums(document, {"s": "abc", "x" * 62 + "-long": "def"})
    assert found.body["spec"]["template"]["metadata"]["annotations"] == {
        "own": "kept",
        "checksum/s": "abc",
        "checksum/" + "x" * 62: "def",
    }
    assert document.body["spec"]["template"]["metadata"]["annotations"]["checksum/s"] == "stale"


def test_the_checksum_of_a_config_map_is_of_its_content_alone() -> None:
    plain = config_checksum(config_map(a="1", b="2"))
    assert plain == config_checksum({**config_map(b="2", a="1"), "metadata": {"name": "z", "labels": {"x": "y"}}})
    assert plain != config_checksum(config_map(a="1", b="3"))


def stored(body: Object, owned: t.Any = None, **server: t.Any) -> Object:
    """As the API server has it."""
    fields = [{"manager": MANAGER, "operation": "Apply", "fieldsV1": owned or {"f:data": {}}}]
    metadata = {**body["metadata"], "uid": "u", "resourceVersion": "7", "managedFields": fields, **server}
    return {**body, "metadata": metadata, "status": {"ready": True}}


def test_what_is_the_same_makes_no_step() -> None:
    body = config_map(a="1")
    tried = stored(body, resourceVersion="8", generation=2)
    plan = plan_objects([(Document(body, "mlops"), stored(body), tried)])
    assert (plan.changed, plan.actions, plan.diff) == (False, [], {"before": {}, "after": {}})


def test_what_is_missing_is_shown_as_it_was_asked_for() -> None:
    body = config_map(a="1")
    plan = plan_objects([(Document(body, "mlops"), None, stored({**body, "defaulted": True}))])
    assert plan.actions == ["create ConfigMap a"]
    assert plan.diff == {"before": {}, "after": {"ConfigMap a": body}}


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        (config_map(a="1"), config_map(a="2"), "change ConfigMap a: data.a"),
        (config_map(a="1", b="1"), config_map(a="1"), "change ConfigMap a: data.b"),
        (deployment(), {**deployment(), "spec": {}}, "change Deployment d: spec.replicas, spec.template"),
        (deployment(), deployment(hostNetwork=True), "change Deployment d: spec.template"),
    ],
)
def test_what_differs_is_named_and_shown_without_what_the_server_keeps(
    before: Object, after: Object, action: str
) -> None:
    document = Document(after, "mlops")
    plan = plan_objects([(document, stored(before), stored(after))])
    assert plan.actions == [action]
    assert plan.diff == {"before": {str(document): before}, "after": {str(document): after}}


def test_fields_are_taken_over_so_that_they_can_be_left_out_later() -> None:
    body = config_map(a="1")
    plan = plan_objects([(Document(body, "mlops"), stored(body), stored(body, {"f:data": {"f:a": {}}}))])
    assert plan.actions == ["change ConfigMap a: take its fields over"]
