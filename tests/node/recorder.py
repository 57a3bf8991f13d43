"""Watches one boot of a node from outside: writes down looked-up names as they come and the packet counters at the end.

Runs in the node's network namespace and keeps that alive until the node's first process has ended, so that the
counters are read after the last packet. Holds a lock while it runs: whoever reads can tell that nothing was missed.
Its boot stands in the list without counters from the start: where it is killed, nobody takes that for silence.

    nsenter --net=PATH python -m tests.node.recorder PID DIRECTORY
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from tests.node.dns import open_dns_socket, parse_query
from tests.node.rules import TABLE, read_counters

__all__ = ("BOOTS", "LOCK", "NAMES")

LOCK, NAMES, BOOTS = "recorder.lock", "names.jsonl", "boots.jsonl"


def _append(file: Path, entry: dict[str, t.Any]) -> None:
    with file.open("a") as out:
        out.write(json.dumps(entry) + "\n")


def _end_boot(boots: Path, counters: dict[str, t.Any] | None) -> None:
    """Give the last entry its counters."""
    part = boots.with_name(f"{boots.name}.part")
    entries = [*boots.read_text().splitlines()[:-1], json.dumps({"counters": counters})]
    part.write_text("".join(f"{entry}\n" for entry in entries))
    part.rename(boots)


def _record_names(sock: socket.socket, first_process: int, names: Path) -> None:
    seen = set()
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.register(first_process, select.POLLIN)
    while True:
        ready = {fd for fd, _event in poll.poll()}
        if sock.fileno() in ready:
            query = parse_query(sock.recv(65535))
            if query and query not in seen:
                seen.add(query)
                _append(names, {"time": round(time.time(), 3), **query._asdict()})
        elif first_process in ready:
            return


def main() -> int:
    pid, directory = int(sys.argv[1]), Path(sys.argv[2])
    first_process = os.pidfd_open(pid)
    with (directory / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits for the recorder of the boot before
        _append(directory / BOOTS, {"counters": None})
        with open_dns_socket() as sock:
            os.write(1, b"ready\n")
            os.close(1)
            _record_names(sock, first_process, directory / NAMES)
        listing = subprocess.run(["nft", "-j", "list", "table", "inet", TABLE], capture_output=True, check=False)
        # no counters: somebody removed the table, and whoever reads must know
        counters = vars(read_counters(json.loads(listing.stdout))) if listing.returncode == 0 else None
        _end_boot(directory / BOOTS, counters)
    return 0


if __name__ == "__main__":
    sys.exit(main())
