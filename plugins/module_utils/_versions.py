# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Versions of k3s: vMAJOR.MINOR.PATCH+SUFFIX. Pure.

The suffix counts: v1.33.7+k3s3 is newer than v1.33.7+k3s1 and holds another etcd.
"""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("K3sVersion", "parse_version_output")

_PATTERN = re.compile(r"^v?(\d+)\.(\d+)(?:\.(\d+))?(?:-([0-9A-Za-z.]+))?(?:\+([0-9A-Za-z.]+))?$")


@functools.total_ordering
@dataclass(frozen=True, eq=False)
class K3sVersion:
    """A release, ordered as k3s orders them: by numbers, then a release candidate before its release, then the suffix's number."""

    text: str
    numbers: tuple[int, int, int]
    candidate: str
    build: str

    @classmethod
    def parse(cls, text: str) -> K3sVersion:
        match = _PATTERN.match(text.strip())
        if not match:
            raise AirgapError(
                f"{text!r} is not a version of k3s. Write it as in the release, for example v1.35.4+k3s1."
            )
        major, minor, patch, candidate, build = match.groups()
        return cls(text.strip(), (int(major), int(minor), int(patch or 0)), candidate or "", build or "")

    @property
    def minor(self) -> tuple[int, int]:
        return self.numbers[:2]

    @property
    def build_number(self) -> int:
        digits = re.search(r"(\d+)$", self.build)
        return int(digits.group(1)) if digits else 0

    def _key(self) -> tuple[t.Any, ...]:
        return (self.numbers, self.candidate == "", self.candidate, self.build_number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, K3sVersion) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: K3sVersion) -> bool:
        return self._key() < other._key()

    def __str__(self) -> str:
        return self.text


def parse_version_output(output: str) -> str | None:
    """The version in what `k3s --version` prints: 'k3s version v1.35.4+k3s1 (0123abcd)'. None when it is something else."""
    match = re.search(r"^k3s version (v\S+)", output, re.MULTILINE)
    return match.group(1) if match else None
