from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.node.dns import Query, is_outside, parse_query

FLAGS_QUERY, FLAGS_ANSWER = 0x0100, 0x8180


def _message(name: str, flags: int = FLAGS_QUERY) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


def _ipv4(message: bytes, options: bytes = b"") -> bytes:
    header = bytes([0x40 | (20 + len(options)) // 4]) + b"\0" * 8 + b"\x11" + b"\0" * 2
    return header + socket.inet_aton("10.42.0.7") + socket.inet_aton("10.43.0.10") + options + b"\0" * 8 + message


def _ipv6(message: bytes) -> bytes:
    addresses = socket.inet_pton(socket.AF_INET6, "fd00::7") + socket.inet_pton(socket.AF_INET6, "fd00::a")
    return b"\x60" + b"\0" * 5 + b"\x11\x40" + addresses + b"\0" * 8 + message


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param(_ipv4(_message("dl.min.io")), Query("dl.min.io", "10.42.0.7", "10.43.0.10"), id="ipv4"),
        pytest.param(
            _ipv4(_message("dl.min.io"), b"\1" * 8), Query("dl.min.io", "10.42.0.7", "10.43.0.10"), id="options"
        ),
        pytest.param(_ipv6(_message("DL.Min.IO")), Query("dl.min.io", "fd00::7", "fd00::a"), id="ipv6, any case"),
        pytest.param(_ipv4(_message("dl.min.io", FLAGS_ANSWER)), None, id="an answer"),
        pytest.param(_ipv4(_message("dl.min.io"))[:45], None, id="cut off"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_parse_query(packet: bytes, expected: Query | None) -> None:
    assert parse_query(packet) == expected


@given(st.binary(max_size=200))
def test_no_packet_breaks_the_recorder(packet: bytes) -> None:
    parse_query(packet)


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        ("config.mlflow-telemetry.io", True),
        ("config.mlflow-telemetry.io.mlops.svc.cluster.local", False),
        ("postgresql.mlops.svc.cluster.local", False),
        ("localhost", False),
        ("8.8.8.8.in-addr.arpa", True),
        ("7.0.42.10.in-addr.arpa", False),
        ("1.0.168.192.in-addr.arpa", False),
        ("1.0.16.172.in-addr.arpa", False),
        ("1.0.32.172.in-addr.arpa", True),
        ("minio", False),
        ("minio.mlops.svc", False),
        (".", True),
    ],
)
def test_is_outside(name: str, outside: bool) -> None:
    assert is_outside(name) is outside
