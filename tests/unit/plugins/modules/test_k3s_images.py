# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.airgap.mlops.plugins.modules import k3s_images, k3s_images_info

DIGEST = "sha256:" + "a" * 64
OLD = "sha256:" + "b" * 64
ARGS = {
    "bundle": "b",
    "release": "1.0.0",
    "images": [{"reference": "airgap.local/app:1", "digest": DIGEST}],
    "k3s": "k3s",
}
HEAD = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
APP = f"airgap.local/app:1 application/vnd.oci.image.manifest.v1+json {DIGEST} 2.0 MiB linux/amd64 "
PINNED = "airgap.mlops/generation=2,airgap.mlops/release=1.0.0,io.cri-containerd.pinned=pinned\n"
STALE = f"airgap.local/app:0 x/y {OLD} 2.0 MiB linux/amd64 airgap.mlops/generation=0,airgap.mlops/release=0.8.0\n"
BEFORE = f"airgap.local/db:0 x/y {OLD} 2.0 MiB linux/amd64 airgap.mlops/generation=1,airgap.mlops/release=0.9.0\n"


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    """A node whose containerd says what the test wants; `calls` are the commands that write."""
    state: dict[str, t.Any] = {"ls": HEAD, "ready": "", "containers": "CONTAINER IMAGE RUNTIME\n", "calls": [], "rc": 0}

    def run_command(_self: AnsibleModule, argv: list[str], **_options: t.Any) -> tuple[int, str, str]:
        words = argv[4:]
        answers = {
            "images ls": state["ls"],
            "images check": state["ready"],
            "containers ls": state["containers"],
            "content ls": f"{DIGEST}\n",
        }
        if " ".join(words[:2]) in answers:
            return state["rc"], answers[" ".join(words[:2])], "ctr: cannot connect" if state["rc"] else ""
        state["calls"].append(" ".join(words))
        return 0, "", ""

    monkeypatch.setattr(AnsibleModule, "run_command", run_command)
    return state


def run(module: t.Any, args: dict[str, t.Any], capfd: pytest.CaptureFixture[str]) -> dict[str, t.Any]:
    with patch_module_args(args), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, t.Any] = json.loads(capfd.readouterr().out)
    return answer


@pytest.mark.parametrize("check", [True, False])
def test_labels_and_removals(node: dict[str, t.Any], capfd: pytest.CaptureFixture[str], check: bool) -> None:
    node.update(
        ls=HEAD + APP + "-\n" + STALE + BEFORE, ready="airgap.local/app:1\nairgap.local/app:0\nairgap.local/db:0\n"
    )
    result = run(k3s_images, {**ARGS, "_ansible_check_mode": check}, capfd)
    assert result["changed"] is True
    assert result["actions"] == ["label airgap.local/app:1", "remove airgap.local/app:0"]
    labels = "airgap.mlops/generation=2 airgap.mlops/release=1.0.0 io.cri-containerd.pinned=pinned"
    writes = [f"images label airgap.local/app:1 {labels}", "images rm --sync airgap.local/app:0"]
    assert node["calls"] == ([] if check else writes)


def test_converged(node: dict[str, t.Any], capfd: pytest.CaptureFixture[str]) -> None:
    node.update(ls=HEAD + APP + PINNED, ready="airgap.local/app:1\n")
    assert run(k3s_images, ARGS, capfd)["changed"] is False
    assert node["calls"] == []


def test_an_image_that_a_container_uses_stays(node: dict[str, t.Any], capfd: pytest.CaptureFixture[str]) -> None:
    node.update(ls=HEAD + APP + PINNED + STALE, ready="airgap.local/app:1\nairgap.local/app:0\n")
    node["containers"] += "0123 airgap.local/app:0 io.containerd.runc.v2\n"
    assert run(k3s_images, {**ARGS, "keep_releases": 0}, capfd)["changed"] is False


def test_what_the_import_did_not_bring_is_an_error(node: dict[str, t.Any], capfd: pytest.CaptureFixture[str]) -> None:
    node.update(ls=HEAD + APP + PINNED)  # there, but not whole
    result = run(k3s_images, ARGS, capfd)
    assert result["failed"] is True
    assert f"airgap.local/app:1 ({DIGEST})" in result["msg"]
    assert node["calls"] == []


def test_what_a_node_holds(node: dict[str, t.Any], capfd: pytest.CaptureFixture[str]) -> None:
    node.update(ls=HEAD + APP + PINNED + STALE, ready="airgap.local/app:1\n")
    node["containers"] += "0123 airgap.local/app:1 io.containerd.runc.v2\n"
    result = run(k3s_images_info, {"k3s": "k3s"}, capfd)
    assert result["available"] is True
    assert [(image["name"], image["pinned"], image["ready"]) for image in result["images"]] == [
        ("airgap.local/app:1", True, True),
        ("airgap.local/app:0", False, False),
    ]
    assert result["blobs"] == result["in_use"] == [DIGEST]


def test_a_node_without_containerd_is_no_error(node: dict[str, t.Any], capfd: pytest.CaptureFixture[str]) -> None:
    node["rc"] = 1
    result = run(k3s_images_info, {"k3s": "k3s"}, capfd)
    assert (result["available"], result["images"], result["blobs"]) == (False, [], [])
    assert "cannot connect" in result["reason"]
