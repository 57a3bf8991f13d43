# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_wheels import LockError, Target
from ansible_collections.airgap.mlops.plugins.modules.bundle_wheels import plan_targets


def test_every_python_on_every_machine_in_one_order() -> None:
    expected = [
        Target("3.9", "x86_64"),
        Target("3.9", "aarch64"),
        Target("3.10", "x86_64"),
        Target("3.10", "aarch64"),
    ]
    assert plan_targets(["3.10", "3.9", "3.10"], ["aarch64", "x86_64"]) == expected
    assert plan_targets(["3.9", "3.10"], ["x86_64", "aarch64"]) == expected


@pytest.mark.parametrize("python", ["3", "2.7", "3.9.1", "python3.9", ""])
def test_what_is_no_python_is_named(python: str) -> None:
    with pytest.raises(LockError, match=f"pythons: '{python}' is not a version"):
        plan_targets([python], ["x86_64"])


def test_what_is_no_machine_is_named() -> None:
    with pytest.raises(LockError, match="machines: 'riscv64' is none of x86_64, aarch64"):
        plan_targets(["3.9"], ["riscv64"])
