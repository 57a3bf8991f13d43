"""Names in DNS queries: read from packets, told apart by whether they concern the world outside. Pure, but for the socket."""

from __future__ import annotations

import ctypes
import socket
import struct
import typing as t

__all__ = ("Query", "is_outside", "open_dns_socket", "parse_query")

_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26

# Classic BPF on the network header: UDP to port 53, over IPv4 or IPv6. (code, jump if true, jump if false, operand)
_FILTER = [
    (0x30, 0, 0, 0),        # 0: A = byte 0
    (0x54, 0, 0, 0xF0),     # 1: A &= 0xf0
    (0x15, 0, 7, 0x40),     # 2: IPv4? else 10
    (0x30, 0, 0, 9),        # 3: A = protocol
    (0x15, 0, 10, 17),      # 4: UDP? else 15
    (0x28, 0, 0, 6),        # 5: A = fragment field
    (0x45, 8, 0, 0x1FFF),   # 6: a later fragment? then 15
    (0xB1, 0, 0, 0),        # 7: X = length of the header
    (0x48, 0, 0, 2),        # 8: A = destination port
    (0x15, 4, 5, 53),       # 9: 53? 14 else 15
    (0x30, 0, 0, 6),        # 10: A = next header (IPv6)
    (0x15, 0, 3, 17),       # 11: UDP? else 15
    (0x28, 0, 0, 42),       # 12: A = destination port
    (0x15, 0, 1, 53),       # 13: 53? 14 else 15
    (0x06, 0, 0, 0x40000),  # 14: take it
    (0x06, 0, 0, 0),        # 15: leave it
]  # fmt: skip


class Query(t.NamedTuple):
    name: str
    source: str
    resolver: str


def open_dns_socket() -> socket.socket:
    """A socket that receives every DNS query on any interface of this network namespace, from the network header on."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    program = b"".join(struct.pack("HBBI", *step) for step in _FILTER)
    buffer = ctypes.create_string_buffer(program)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_FILTER), ctypes.addressof(buffer)))
    return sock


def parse_query(packet: bytes) -> Query | None:
    """The first question of a DNS query, with who asked whom; None for what is no query."""
    try:
        if packet[0] >> 4 == 4:
            start = (packet[0] & 0x0F) * 4
            source, resolver = (
                socket.inet_ntop(socket.AF_INET, packet[12:16]),
                socket.inet_ntop(socket.AF_INET, packet[16:20]),
            )
        else:
            start = 40
            source, resolver = (
                socket.inet_ntop(socket.AF_INET6, packet[8:24]),
                socket.inet_ntop(socket.AF_INET6, packet[24:40]),
            )
        message = packet[start + 8 :]
        flags, questions = struct.unpack_from("!HH", message, 2)
        if flags & 0x8000 or questions == 0:
            return None
        return Query(_first_name(message), source, resolver)
    except (IndexError, struct.error, ValueError):
        return None


def _first_name(message: bytes) -> str:
    labels, at = [], 12
    while length := message[at]:
        label = message[at + 1 : at + 1 + length]
        if length > 63 or len(label) < length:
            raise ValueError("not a plain name")
        labels.append(label.decode("ascii", "backslashreplace"))
        at += 1 + length
    return ".".join(labels).lower() or "."


def is_outside(name: str) -> bool:
    """Whether a name is one of the world outside: neither the cluster's, nor this host's, nor a private address's.

    A pod that gets no answer for `postgresql.mlops.svc.cluster.local`, since DNS is only starting, goes on to plain
    `postgresql`: names without a dot and those ending in `.svc` are the cluster's too, for the world has none such.
    """
    if "." not in name or name.endswith((".localhost", ".local", ".svc")):
        return False
    if name.endswith(".in-addr.arpa"):
        return not _is_private(name.removesuffix(".in-addr.arpa").split(".")[::-1])
    return not name.endswith(".ip6.arpa")


def _is_private(octets: list[str]) -> bool:
    first, second = octets[0], int(octets[1]) if len(octets) > 1 and octets[1].isdigit() else 0
    return first in ("10", "127") or (first == "192" and second == 168) or (first == "172" and 16 <= second < 32)
