from __future__ import annotations

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._images import (
    GENERATION_LABEL,
    PIN_LABEL,
    RELEASE_LABEL,
    ImageRecord,
    WantedImage,
    plan_images,
)

A1, A2, A3, B1 = ("sha256:" + letter * 64 for letter in "abcd")


def ours(name: str, digest: str, release: str, generation: int, ready: bool = True) -> ImageRecord:
    labels = {PIN_LABEL: "pinned", RELEASE_LABEL: release, GENERATION_LABEL: str(generation)}
    return ImageRecord(f"airgap.local/{name}", digest, labels, ready)


def twin(digest: str) -> ImageRecord:
    return ImageRecord("sha256:" + "9" + digest[8:], digest)


WANT = [WantedImage("airgap.local/app:1", A1), WantedImage("airgap.local/db:1", B1)]
HAVE = [ours("app:1", A1, "1.0.0", 3), ours("db:1", B1, "1.0.0", 3)]
STRANGER = ImageRecord("docker.io/library/nginx:1", A3, {"io.cattle.k3s.pinned": "pinned"})


@pytest.mark.parametrize(
    ("present", "imports", "relabels", "removals", "generation"),
    [
        pytest.param([], ["app:1", "db:1"], [], [], "1", id="a bare node takes all"),
        pytest.param(HAVE, [], [], [], "3", id="a converged node takes nothing"),
        pytest.param([*HAVE, STRANGER], [], [], [], "3", id="strangers are left alone"),
        pytest.param(HAVE[:1], ["db:1"], [], [], "3", id="a run that was cut off goes on with its generation"),
        pytest.param(
            [ours("app:1", A1, "1.0.0", 3, ready=False), HAVE[1]],
            ["app:1"],
            [],
            [],
            "3",
            id="what is not whole is imported again",
        ),
        pytest.param(
            [ours("app:1", A2, "1.0.0", 3), HAVE[1]],
            ["app:1"],
            [],
            [],
            "3",
            id="a reference with another digest is imported",
        ),
        pytest.param(
            [ImageRecord("airgap.local/app:1", A1), HAVE[1]],
            [],
            ["app:1"],
            [],
            "3",
            id="an image without our labels gets them",
        ),
        pytest.param(
            [ours("app:0", A2, "0.9.0", 2), ours("db:1", B1, "0.9.0", 2)],
            ["app:1"],
            ["db:1"],
            [],
            "3",
            id="the release before stays",
        ),
        pytest.param(
            [ours("app:0", A2, "0.9.0", 2), ours("app:00", A3, "0.8.0", 1), twin(A3), ours("db:1", B1, "0.9.0", 2)],
            ["app:1"],
            ["db:1"],
            ["app:00", twin(A3).name],
            "3",
            id="older ones go, with the nameless twin that would keep their content",
        ),
        pytest.param(
            [*HAVE, ours("app:2", A2, "1.1.0", 4), twin(A2)],
            [],
            ["app:1", "db:1"],
            [],
            "5",
            id="a rollback is a change of release like any other",
        ),
        pytest.param(
            [*HAVE, ours("app:0", A2, "1.0.0", 3)],
            [],
            ["app:1", "db:1"],
            [],
            "4",
            id="a rebuilt bundle of the same version supersedes the first",
        ),
    ],
)
def test_plan(
    present: list[ImageRecord], imports: list[str], relabels: list[str], removals: list[str], generation: str
) -> None:
    plan = plan_images(wanted=WANT, present=present, release="1.0.0")
    assert [image.reference for image in plan.imports] == [f"airgap.local/{name}" for name in imports]
    assert list(plan.relabels) == [f"airgap.local/{name}" for name in relabels]
    assert list(plan.removals) == sorted(
        name if name.startswith("sha256:") else f"airgap.local/{name}" for name in removals
    )
    assert plan.labels == {PIN_LABEL: "pinned", RELEASE_LABEL: "1.0.0", GENERATION_LABEL: generation}
    assert plan.changed == bool(imports or relabels or removals)
    assert (plan.diff["before"] != plan.diff["after"]) >= bool(imports or removals)


def test_a_plan_that_was_carried_out_is_empty() -> None:
    first = plan_images(
        wanted=WANT, present=[ours("app:0", A2, "0.9.0", 2), ours("x:0", A3, "0.8.0", 1)], release="1.0.0"
    )
    after = [ImageRecord(image.reference, image.digest, first.labels) for image in WANT] + [
        ours("app:0", A2, "0.9.0", 2)
    ]
    assert not plan_images(wanted=WANT, present=after, release="1.0.0").changed


OLD = [*HAVE, ours("app:0", A2, "0.9.0", 2), ours("x:0", A3, "0.8.0", 1)]


def test_what_containers_run_from_is_never_removed() -> None:
    assert plan_images(wanted=WANT, present=OLD, release="1.0.0").removals == ("airgap.local/x:0",)
    assert plan_images(wanted=WANT, present=OLD, release="1.0.0", in_use={A3}).removals == ()


@pytest.mark.parametrize(
    ("keep", "expected"), [(0, ("airgap.local/app:0", "airgap.local/x:0")), (1, ("airgap.local/x:0",)), (2, ())]
)
def test_releases_to_keep(keep: int, expected: tuple[str, ...]) -> None:
    assert plan_images(wanted=WANT, present=OLD, release="1.0.0", keep_releases=keep).removals == expected


def test_without_prune_nothing_goes() -> None:
    assert plan_images(wanted=WANT, present=OLD, release="1.0.0", prune=False).removals == ()


def test_the_twin_stays_while_another_name_needs_it() -> None:
    named = ImageRecord("docker.io/library/same:1", A3)
    present = [*OLD, twin(A3), named]
    assert plan_images(wanted=WANT, present=present, release="1.0.0").removals == ("airgap.local/x:0",)


def test_k3s_own_pin_is_never_set() -> None:
    assert "io.cattle.k3s.pinned" not in plan_images(wanted=WANT, present=[], release="1").labels
