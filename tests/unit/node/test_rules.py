from __future__ import annotations

import json
from pathlib import Path

from tests.node.rules import Counters, egress_rules, read_counters

LISTING = Path(__file__).with_name("fixtures") / "nft-1.0.6-list-table.json"


def test_counters_are_read_from_a_real_listing() -> None:
    assert read_counters(json.loads(LISTING.read_text())) == Counters(
        packets=5,
        dns_packets=2,
        destinations={"192.0.2.7 udp/53": 2, "192.0.2.7 udp/123": 1, "192.0.2.1 tcp/443": 2},
    )


def test_what_a_probe_caused_is_taken_off() -> None:
    all_of_it = Counters(5, 2, {"192.0.2.7 udp/53": 2, "192.0.2.1 tcp/443": 3})
    probe = Counters(3, 0, {"192.0.2.1 tcp/443": 3})
    assert all_of_it - probe == Counters(2, 2, {"192.0.2.7 udp/53": 2})
    assert all_of_it - probe + probe == all_of_it


def test_rules_name_the_network() -> None:
    rules = egress_rules(subnet="10.1.2.0/24", gateway="10.1.2.1")
    assert "ip daddr != 10.1.2.1 ip daddr 10.1.2.0/24 return" in rules
    assert "{{" not in rules
