"""The bundle of the demo, made by the playbook that a user runs; what did not change comes from its cache."""

from __future__ import annotations

from pathlib import Path

from tests.demo.k3s import K3s
from tests.demo.playbook import run_playbook
from tests.node.image import ensure_image

__all__ = ("BUNDLE", "make_bundle", "make_images")

_ROOT = Path(__file__).resolve().parents[2]
BUNDLE = _ROOT / "build/bundle"
_PLAYBOOK = str(_ROOT / "playbooks/bundle.yml")


def make_bundle(k3s: K3s, log: Path) -> None:
    variables = {
        "airgap_bundle": BUNDLE,
        "bundle_k3s_source": k3s.source,
        "bundle_k3s_version": k3s.version,
        "bundle_k3s_binary": k3s.binary,
        "bundle_k3s_images": k3s.images,
    }
    flags = [flag for name, value in variables.items() if value for flag in ("-e", f"{name}={value}")]
    run_playbook(_PLAYBOOK, *flags, log=log)


def make_images(log: Path) -> None:
    """What needs no k3s, into the cache: the image of the nodes, and the bundle's."""
    ensure_image(lambda text: print(f"      {text}", flush=True))
    run_playbook(_PLAYBOOK, "--tags", "bundle_build", "-e", f"airgap_bundle={BUNDLE}", log=log)
