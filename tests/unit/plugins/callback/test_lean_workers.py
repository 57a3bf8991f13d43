"""The plugin in a process of its own: once Ansible's controller is imported, modules warn through it, and their tests would miss that."""

from __future__ import annotations

import configparser
import gc
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]
NAME = "airgap.mlops.lean_workers"
SCRIPT = f"""
import gc, json
from ansible.plugins.loader import callback_loader, init_plugin_loader

init_plugin_loader()
held = [{{"a": "host"}} for _ in range(1000)]
plugin = callback_loader.get("{NAME}")
assert not gc.get_freeze_count(), "nothing is done unasked"
plugin.v2_playbook_on_play_start(None)
found = any(item is held[0] for item in gc.get_objects())
print(json.dumps([gc.get_freeze_count(), found, gc.isenabled(), gc.get_threshold()]))
"""


def test_what_a_play_has_loaded_is_walked_over_no_more() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, check=True, capture_output=True, text=True)
    frozen, found, enabled, thresholds = json.loads(done.stdout)
    assert frozen > 1000
    assert not found
    assert enabled
    assert thresholds[0] > gc.get_threshold()[0], "it looks less often"


def test_a_checkout_enables_it() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "ansible.cfg")
    assert config["defaults"]["callbacks_enabled"] == NAME
