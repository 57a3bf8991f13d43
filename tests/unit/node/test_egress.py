"""What is known of boots that have ended."""

from __future__ import annotations

import pytest

from tests.node.egress import sum_boots
from tests.node.podman import NodeError


def test_boots_add_up() -> None:
    boot = {"counters": {"packets": 2, "dns_packets": 1, "destinations": {"192.0.2.1 udp/53": 1}}}
    total = sum_boots("edge1", [boot, boot])
    assert vars(total) == {"packets": 4, "dns_packets": 2, "destinations": {"192.0.2.1 udp/53": 2}}


def test_a_boot_that_nobody_counted_is_not_silence() -> None:
    with pytest.raises(NodeError, match=r"edge1 .* is unknown; make the node anew"):
        sum_boots("edge1", [{"counters": None}])
