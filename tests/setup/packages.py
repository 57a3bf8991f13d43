"""Debian packages: ask dpkg, install only what is missing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ("SetupError", "install_packages", "missing_packages", "parse_list")


class SetupError(Exception):
    """Something that the person at the keyboard can act on."""


def parse_list(text: str) -> list[str]:
    """The first word of every line that is not a comment."""
    return [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]


def missing_packages(wanted: list[str], dpkg_output: str) -> list[str]:
    """Which of `wanted` stand not as `installed` in lines of `name<TAB>status`."""
    installed = {line.split("\t")[0] for line in dpkg_output.splitlines() if line.endswith("\tinstalled")}
    return [name for name in wanted if name not in installed]


def install_packages(package_list: Path) -> None:
    wanted = parse_list(package_list.read_text())
    try:
        query = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\n", *wanted],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError as exc:
        raise SetupError(
            f"this is no Debian (dpkg-query is missing); install by hand what {package_list} lists"
        ) from exc
    missing = missing_packages(wanted, query.stdout)
    if not missing:
        return
    if os.geteuid() != 0:
        raise SetupError(f"Debian packages are missing, run as root or install: apt-get install {' '.join(missing)}")
    print(f"setup: installing Debian packages: {' '.join(missing)}", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing],
    ):
        done = subprocess.run(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            raise SetupError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
