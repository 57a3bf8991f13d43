from __future__ import annotations

from tests.setup.packages import missing_packages, parse_list

DPKG = "podman\tinstalled\nrunc\tconfig-files\n"


def test_only_what_is_installed_counts() -> None:
    assert missing_packages(["podman", "runc", "zstd"], DPKG) == ["runc", "zstd"]


def test_list_holds_a_name_and_a_reason_a_line() -> None:
    assert parse_list("# title\npodman   runs nodes\n\nzstd\n") == ["podman", "zstd"]
