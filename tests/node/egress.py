"""What tried to leave a node since it was made, over all its boots: packets and names."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tests.node.dns import is_outside
from tests.node.network import GATEWAY, SUBNET
from tests.node.podman import NodeError, run
from tests.node.recorder import BOOTS, LOCK, NAMES
from tests.node.rules import TABLE, Counters, egress_rules, read_counters

__all__ = ("Egress", "EgressRecord", "sum_boots")

_PROBE = "probe.json"


@dataclass
class Egress:
    counters: Counters
    names: list[str]  # outside names alone
    lookups: list[dict[str, t.Any]]  # every query: time, name, source, resolver

    @property
    def silent(self) -> bool:
        return self.counters.packets == 0 and not self.names

    def as_dict(self) -> dict[str, t.Any]:
        counters = self.counters
        return {
            "packets": counters.packets,
            "dns_packets": counters.dns_packets,
            "destinations": counters.destinations,
            "names": self.names,
        }


def sum_boots(name: str, boots: list[dict[str, t.Any]]) -> Counters:
    """What tried to leave a node in boots that have ended."""
    total = Counters()
    for boot in boots:
        if boot["counters"] is None:
            raise NodeError(
                f"the counters of node {name} were removed, or its recorder was killed, in an earlier boot,"
                " so what left then is unknown; make the node anew"
            )
        total += Counters(**boot["counters"])
    return total


class EgressRecord:
    """The record of one node. Its folder holds names, the counters of ended boots and what the seal's own proof caused."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory

    def begin(self) -> None:
        self.forget()
        self.directory.mkdir(parents=True)

    def forget(self) -> None:
        if self.directory.exists():
            self.end_boot()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start_boot(self, netns: str, pid: int) -> None:
        """Counters and recorder, before the node's first process runs."""
        run("nsenter", f"--net={netns}", "nft", "-f", "-", stdin=egress_rules(subnet=SUBNET, gateway=GATEWAY))
        command = [
            "nsenter",
            f"--net={netns}",
            sys.executable,
            "-m",
            "tests.node.recorder",
            str(pid),
            str(self.directory),
        ]
        log = (self.directory / "recorder.log").open("a")
        with log, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            cwd=Path(__file__).parents[2],
        ) as recorder:  # fmt: skip
            assert recorder.stdout is not None
            if recorder.stdout.readline() != b"ready\n":
                raise NodeError(
                    f"the recorder of node {self.name} did not start: {(self.directory / 'recorder.log').read_text().strip()}"
                )
            recorder.returncode = 0  # it outlives us: leave it to init

    def end_boot(self) -> None:
        """Wait until the recorder has written the counters of the boot that ended."""
        with (self.directory / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def recording(self) -> bool:
        try:
            with (self.directory / LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def read(self, netns: str) -> Egress:
        """Everything since the node was made, less what the seal's own proof caused."""
        if not self.recording():
            raise NodeError(
                f"the recorder of node {self.name} is not running, so what left is unknown; make the node anew"
            )
        ended = self._lines(BOOTS)[:-1]  # the last one is this boot
        counters = sum_boots(self.name, ended) + self._live(netns) - self._probe_counters()
        lookups = [item for item in self._lines(NAMES) if item["name"] not in self._probe()["names"]]
        return Egress(counters, sorted({item["name"] for item in lookups if is_outside(item["name"])}), lookups)

    def take_off(self, counters: Counters, names: list[str]) -> None:
        """Leave these out from now on: the proof of the seal caused them."""
        probe = self._probe()
        total = self._probe_counters() + counters
        part = self.directory / f"{_PROBE}.part"
        part.write_text(json.dumps({"counters": vars(total), "names": sorted({*probe["names"], *names})}))
        part.rename(self.directory / _PROBE)

    def _live(self, netns: str) -> Counters:
        listing = run("nsenter", f"--net={netns}", "nft", "-j", "list", "table", "inet", TABLE, check=False)
        if listing.returncode != 0:
            raise NodeError(
                f"the counters of node {self.name} are gone (table inet {TABLE}), so what left is unknown; make the node anew"
            )
        return read_counters(json.loads(listing.stdout))

    def _probe(self) -> dict[str, t.Any]:
        file = self.directory / _PROBE
        found: dict[str, t.Any] = (
            json.loads(file.read_text()) if file.exists() else {"counters": vars(Counters()), "names": []}
        )
        return found

    def _probe_counters(self) -> Counters:
        return Counters(**self._probe()["counters"])

    def _lines(self, file: str) -> list[dict[str, t.Any]]:
        path = self.directory / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
