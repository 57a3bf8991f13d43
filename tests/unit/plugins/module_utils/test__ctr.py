from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._ctr import Ctr, parse_container_images, parse_images
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError, CommandFailed
from ansible_collections.airgap.mlops.plugins.module_utils._images import PIN_LABEL

FIXTURES = Path(__file__).parent / "fixtures"
LISTING = (FIXTURES / "ctr-2.1.5-images-ls.txt").read_text()
K3S_LISTING = (FIXTURES / "ctr-2.1.5-images-ls-k3s.txt").read_text()


def test_listing_of_our_images() -> None:
    records = {record.name: record for record in parse_images(LISTING)}
    app = records["airgap.local/app:1-8c320b5f5f32"]
    assert app.digest == "sha256:8c320b5f5f3213af1cf1300198074fbe47cc994ffc1028b9ac02377c2d6e29ab"
    assert app.generation == 5
    assert app.labels[PIN_LABEL] == "pinned"
    assert len(records) == len(LISTING.splitlines()) - 1


def test_listing_of_what_k3s_imports() -> None:
    records = parse_images(K3S_LISTING)
    assert len(records) == len(K3S_LISTING.splitlines()) - 1
    assert not any(record.ours for record in records)
    assert sum("io.cattle.k3s.pinned" in record.labels for record in records) == 8


def test_readiness_comes_from_check() -> None:
    records = parse_images(LISTING, ready={"airgap.local/app:1-8c320b5f5f32"})
    assert [record.name for record in records if record.ready] == ["airgap.local/app:1-8c320b5f5f32"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("-", {}),
        ("a=1", {"a": "1"}),
        ("a=1,b=x=y", {"a": "1", "b": "x=y"}),
        ("a=1,2,b=3", {"a": "1,2", "b": "3"}),
        ("a=with space,b=", {"a": "with space", "b": ""}),
    ],
)
def test_labels(labels: str, expected: dict[str, str]) -> None:
    row = f"x/y:1 application/vnd.oci.image.index.v1+json sha256:{'0' * 64} 0 B - {labels} \n"
    assert dict(parse_images(row)[0].labels) == expected


def test_containers() -> None:
    listing = (FIXTURES / "ctr-2.1.5-containers-ls.txt").read_text()
    assert "docker.io/rancher/mirrored-pause:3.6" in parse_container_images(listing)
    assert len(parse_container_images(listing)) == 3


class Recorder:
    """Answers commands by their words after `k3s ctr -n k8s.io`."""

    def __init__(self, answers: dict[str, tuple[int, str, str]]) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def __call__(self, argv: list[str], **_options: t.Any) -> tuple[int, str, str]:
        assert argv[:4] == ["k3s", "ctr", "-n", "k8s.io"]
        self.calls.append(" ".join(argv[4:]))
        return self.answers.get(" ".join(argv[4:6]), (0, "", ""))


def test_a_broken_image_makes_check_fail_and_the_listing_stand() -> None:
    run = Recorder(
        {
            "images ls": (0, LISTING, "level=error"),
            "images check": (1, "airgap.local/db:1-6efdd91d17ec\n", "unable to check"),
        }
    )
    ready = [record.name for record in Ctr(run, "k3s").list_images() if record.ready]
    assert ready == ["airgap.local/db:1-6efdd91d17ec"]


def test_labels_and_removal_are_one_command_each() -> None:
    run = Recorder({})
    ctr = Ctr(run, "k3s")
    ctr.label("x:1", {"b": "2", "a": "1"})
    ctr.remove(["x:1", "y:1"])
    ctr.remove([])
    assert run.calls == ["images label x:1 a=1 b=2", "images rm --sync x:1 y:1"]


def test_failure_of_a_command_is_named() -> None:
    run = Recorder({"content ls": (1, "", "ctr: cannot connect")})
    with pytest.raises(CommandFailed, match="exit code 1: ctr: cannot connect"):
        Ctr(run, "k3s").list_blobs()


def test_no_binary_is_named() -> None:
    def run(_argv: list[str], **_options: t.Any) -> tuple[int, str, str]:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(AirgapError, match="Install k3s first"):
        Ctr(run, "/usr/local/bin/k3s").list_blobs()
