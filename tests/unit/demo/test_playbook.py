from __future__ import annotations

from tests.demo.playbook import Recap, parse_recap

OUTPUT = """\
TASK [k3s : install | Bring files] *********************************************
changed: [demo]
changed: [edge-2] => (item=x)

TASK [mlflow : verify | Ask for the version] ***********************************
ok: [demo]

TASK [Tell leads] **************************************************************
changed: [demo -> localhost]

PLAY RECAP *********************************************************************
demo                       : ok=91   changed=0    unreachable=0    failed=0    skipped=12   rescued=0    ignored=0
edge-2                     : ok=4    changed=3    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0
"""


def test_recap() -> None:
    assert parse_recap(OUTPUT) == Recap(2, 3, ("k3s : install | Bring files", "Tell leads"))


def test_no_recap_without_hosts() -> None:
    assert parse_recap("[WARNING]: No inventory was parsed\n") == Recap(0, 0, ())
