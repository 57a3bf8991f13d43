# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Which keys of which Secrets to make, keep or change. Pure: randomness is handed in, no value is ever in a repr or a message."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import typing as t
from urllib.parse import quote

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = (
    "ALPHABETS",
    "PENDING",
    "KeySpec",
    "Plan",
    "SecretChange",
    "SecretSpec",
    "SecretsError",
    "StoredSecret",
    "checksum",
    "plan_secrets",
)

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALPHABETS = {
    "urlsafe": _LETTERS + "0123456789-_",
    "alphanumeric": _LETTERS + "0123456789",
    "hex": "0123456789abcdef",
}
_MIN_LENGTH = 16
_MAX_LENGTH = 1024
# A checksum that cannot be known yet: in check mode a Secret that would be made has no uid.
PENDING = "pending"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_PLACEHOLDER = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>[^{}/|]+)/(?P<key>[^{}/|]+)(?:\|(?P<filter>[^{}]*))?\})?")


class SecretsError(AirgapError):
    """The list of Secrets contradicts itself or the cluster."""


@dataclasses.dataclass(frozen=True)
class KeySpec:
    """One key of a Secret: a given value, a template over other keys, or else something to generate."""

    key: str
    value: str | None = dataclasses.field(default=None, repr=False)
    template: str | None = None
    length: int = 32
    alphabet: str = "urlsafe"

    @property
    def generated(self) -> bool:
        return self.value is None and self.template is None


@dataclasses.dataclass(frozen=True)
class SecretSpec:
    """A Secret as wanted. Without keys it must exist, and nothing in it is touched."""

    name: str
    keys: tuple[KeySpec, ...] = ()
    labels: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class StoredSecret:
    """A Secret as the cluster has it."""

    uid: str
    data: t.Mapping[str, bytes] = dataclasses.field(default_factory=dict, repr=False)
    labels: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    resource_version: str = ""
    immutable: bool = False


@dataclasses.dataclass(frozen=True)
class SecretChange:
    """What one Secret becomes: only the keys and labels that differ, and a word for every key."""

    name: str
    stored: StoredSecret | None
    data: t.Mapping[str, bytes] = dataclasses.field(repr=False)
    labels: t.Mapping[str, str]
    words: t.Mapping[str, str]

    @property
    def changed(self) -> bool:
        return self.stored is None or bool(self.data or self.labels)

    @property
    def all_data(self) -> dict[str, bytes]:
        return {**(self.stored.data if self.stored else {}), **self.data}

    def describe(self) -> tuple[dict[str, t.Any] | None, dict[str, t.Any]]:
        """The Secret before and after, for a diff: names and words, never a value."""
        after = {"labels": {**(self.stored.labels if self.stored else {}), **self.labels}, "data": dict(self.words)}
        if self.stored is None:
            return None, after
        before = {
            key: "(present)" if key in self.data else word
            for key, word in self.words.items()
            if key in self.stored.data
        }
        return {"labels": dict(self.stored.labels), "data": before}, after


@dataclasses.dataclass(frozen=True)
class Plan:
    """One change a Secret, in the order they were asked for."""

    changes: tuple[SecretChange, ...]

    @property
    def changed(self) -> bool:
        return any(change.changed for change in self.changes)

    @property
    def actions(self) -> list[str]:
        lines = []
        for change in self.changes:
            if not change.changed:
                continue
            verb = "create" if change.stored is None else "update"
            keys = [f"{key} {word}" for key, word in change.words.items() if key in change.data]
            labels = [f"label {key}" for key in change.labels] if change.stored else []
            lines.append(f"{verb} secret {change.name}: {', '.join(keys + labels) or 'empty'}")
        return lines

    @property
    def diff(self) -> dict[str, dict[str, dict[str, t.Any] | None]]:
        sides = {change.name: change.describe() for change in self.changes}
        return {
            "before": {name: before for name, (before, _after) in sides.items()},
            "after": {name: after for name, (_before, after) in sides.items()},
        }


def plan_secrets(
    *,
    wanted: t.Sequence[SecretSpec],
    stored: t.Mapping[str, StoredSecret],
    rotate: t.Iterable[str] = (),
    generate: t.Callable[[KeySpec], str],
    check_mode: bool = False,
) -> Plan:
    """Make what is missing, keep what is there, renew what rotate names, derive the rest from the result."""
    _validate(wanted)
    renew = _rotation(wanted, rotate)
    resolver = _Resolver(wanted, stored, renew, generate)
    changes = []
    for spec in wanted:
        current = stored.get(spec.name)
        if current is None and not spec.keys and not check_mode:
            raise SecretsError(f"secret {spec.name} does not exist, and no data was given to make it of")
        changes.append(_change(spec, current, resolver))
    return Plan(tuple(changes))


def _change(spec: SecretSpec, current: StoredSecret | None, resolver: _Resolver) -> SecretChange:
    data: dict[str, bytes] = {}
    words: dict[str, str] = {}
    present = current.data if current else {}
    for key in spec.keys:
        value = resolver.value(spec.name, key.key)
        if present.get(key.key) == value:
            words[key.key] = "(kept)"
            continue
        data[key.key] = value
        words[key.key] = "(changed)" if key.key in present else "(generated)" if key.generated else "(set)"
    labels = {k: v for k, v in spec.labels.items() if (current.labels if current else {}).get(k) != v}
    if current and current.immutable and data:
        raise SecretsError(
            f"secret {spec.name} is immutable and {', '.join(sorted(data))} would change. Delete it first, then run again."
        )
    return SecretChange(name=spec.name, stored=current, data=data, labels=labels, words=words)


class _Resolver:
    """Values by name and key; templates ask for what they need, so order does not matter."""

    def __init__(
        self,
        wanted: t.Sequence[SecretSpec],
        stored: t.Mapping[str, StoredSecret],
        renew: frozenset[tuple[str, str]],
        generate: t.Callable[[KeySpec], str],
    ) -> None:
        self._specs = {(spec.name, key.key): key for spec in wanted for key in spec.keys}
        self._names = {spec.name for spec in wanted}
        self._stored = stored
        self._renew = renew
        self._generate = generate
        self._values: dict[tuple[str, str], bytes] = {}
        self._open: list[tuple[str, str]] = []

    def value(self, name: str, key: str) -> bytes:
        where = (name, key)
        if where not in self._values:
            self._values[where] = self._find(where)
        return self._values[where]

    def _find(self, where: tuple[str, str]) -> bytes:
        spec = self._specs.get(where)
        present = self._stored[where[0]].data.get(where[1]) if where[0] in self._stored else None
        if spec is None:
            return self._foreign(where, present)
        if spec.value is not None:
            return spec.value.encode()
        if spec.template is not None:
            return self._render(where, spec.template).encode()
        if present and where not in self._renew:  # an empty password is a missing one
            return present
        return self._generate(spec).encode()

    def _foreign(self, where: tuple[str, str], present: bytes | None) -> bytes:
        if present is None:
            reason = "is not in the list of secrets" if where[0] not in self._names else f"has no key {where[1]}"
            raise SecretsError(
                f"template of {'/'.join(self._open[-1])} uses {'/'.join(where)}, but {where[0]} {reason}"
            )
        return present

    def _render(self, where: tuple[str, str], template: str) -> str:
        if where in self._open:
            circle = [*self._open[self._open.index(where) :], where]
            raise SecretsError(f"templates of secrets go in a circle: {' -> '.join('/'.join(item) for item in circle)}")
        self._open.append(where)
        try:
            return _PLACEHOLDER.sub(self._replace, template)
        finally:
            self._open.pop()

    def _replace(self, found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        if not found["name"]:
            raise SecretsError(
                f"template of {'/'.join(self._open[-1])} has a $ that begins nothing: write ${{SECRET/KEY}}, ${{SECRET/KEY|url}} or $$"
            )
        if found["filter"] not in (None, "url"):
            raise SecretsError(
                f"template of {'/'.join(self._open[-1])} uses |{found['filter']}; the only filter is |url"
            )
        try:
            value = self.value(found["name"], found["key"]).decode()
        except UnicodeDecodeError:
            raise SecretsError(
                f"template of {'/'.join(self._open[-1])} uses {found['name']}/{found['key']}, which is not UTF-8 text"
            ) from None  # the cause holds the value
        return quote(value, safe="") if found["filter"] else value


def _rotation(wanted: t.Sequence[SecretSpec], rotate: t.Iterable[str]) -> frozenset[tuple[str, str]]:
    generated = {
        f"{spec.name}/{key.key}": (spec.name, key.key) for spec in wanted for key in spec.keys if key.generated
    }
    renew = set()
    for item in rotate:
        if item not in generated:
            raise SecretsError(
                f"cannot rotate {item}: only generated keys can be, which are {', '.join(sorted(generated)) or 'none'}"
            )
        renew.add(generated[item])
    return frozenset(renew)


def _validate(wanted: t.Sequence[SecretSpec]) -> None:
    names = [spec.name for spec in wanted]
    for spec in wanted:
        if len(spec.name) > 253 or not _NAME.fullmatch(spec.name):
            raise SecretsError(
                f"'{spec.name}' cannot be the name of a Secret: lower case letters, digits, '-' and '.' only"
            )
        if names.count(spec.name) > 1:
            raise SecretsError(f"secret {spec.name} is in the list twice")
        keys = [key.key for key in spec.keys]
        for key in spec.keys:
            if not _KEY.fullmatch(key.key):
                raise SecretsError(
                    f"'{key.key}' cannot be a key of secret {spec.name}: letters, digits, '-', '_' and '.' only"
                )
            if keys.count(key.key) > 1:
                raise SecretsError(f"key {key.key} of secret {spec.name} is in the list twice")
            if key.generated and not _MIN_LENGTH <= key.length <= _MAX_LENGTH:
                raise SecretsError(
                    f"key {key.key} of secret {spec.name} cannot have length {key.length}: {_MIN_LENGTH} to {_MAX_LENGTH} can be generated"
                )


def checksum(uid: str, data: t.Mapping[str, bytes]) -> str:
    """A hash of the content that tells nobody the content: keyed with the Secret's uid, which is random and lives in the cluster."""
    if not uid:
        return PENDING
    mac = hmac.new(uid.encode(), digestmod=hashlib.sha256)
    for key in sorted(data):
        for part in (key.encode(), data[key]):
            mac.update(len(part).to_bytes(8, "big") + part)
    return mac.hexdigest()[:32]
