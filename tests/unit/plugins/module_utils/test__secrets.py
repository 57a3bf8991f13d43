# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import string
import typing as t
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._secrets import (
    ALPHABETS,
    PENDING,
    KeySpec,
    Plan,
    SecretsError,
    SecretSpec,
    StoredSecret,
    checksum,
    plan_secrets,
)

PASSWORD = KeySpec("password")
URI = KeySpec("uri", template="pg://mlflow:${db/password|url}@h/d")
DB = SecretSpec("db", (PASSWORD, URI))


def stored(data: dict[str, str], labels: dict[str, str] | None = None, *, immutable: bool = False) -> StoredSecret:
    return StoredSecret("uid", {k: v.encode() for k, v in data.items()}, labels or {}, "7", immutable)


def plan(
    wanted: t.Sequence[SecretSpec],
    present: dict[str, StoredSecret] | None = None,
    rotate: t.Sequence[str] = (),
    check_mode: bool = False,
) -> Plan:
    return plan_secrets(
        wanted=wanted, stored=present or {}, rotate=rotate, generate=lambda key: f"new-{key.key}", check_mode=check_mode
    )


KEPT = {"db": stored({"password": "old", "uri": "pg://mlflow:old@h/d"})}

CASES = [
    pytest.param(
        [DB],
        {},
        (),
        {"password": b"new-password", "uri": b"pg://mlflow:new-password@h/d"},
        ["create secret db: password (generated), uri (set)"],
        id="missing secret is made",
    ),
    pytest.param([DB], KEPT, (), {}, [], id="what is there is kept"),
    pytest.param(
        [DB],
        {"db": stored({"password": "old"})},
        (),
        {"uri": b"pg://mlflow:old@h/d"},
        ["update secret db: uri (set)"],
        id="missing key is made",
    ),
    pytest.param(
        [DB],
        {"db": stored({"password": "", "uri": "x"})},
        (),
        {"password": b"new-password", "uri": b"pg://mlflow:new-password@h/d"},
        ["update secret db: password (changed), uri (changed)"],
        id="empty value is a missing one",
    ),
    pytest.param(
        [DB],
        KEPT,
        ["db/password"],
        {"password": b"new-password", "uri": b"pg://mlflow:new-password@h/d"},
        ["update secret db: password (changed), uri (changed)"],
        id="what derives from a rotated key follows",
    ),
    pytest.param(
        [SecretSpec("db", (URI, PASSWORD))],
        {},
        (),
        {"uri": b"pg://mlflow:new-password@h/d", "password": b"new-password"},
        ["create secret db: uri (set), password (generated)"],
        id="order of keys does not matter",
    ),
    pytest.param(
        [SecretSpec("db", (KeySpec("password", value="given"),))],
        KEPT,
        (),
        {"password": b"given"},
        ["update secret db: password (changed)"],
        id="given value wins",
    ),
    pytest.param(
        [SecretSpec("db", (KeySpec("a", template="$$x ${db/extra}"),))],
        {"db": stored({"extra": "e"})},
        (),
        {"a": b"$x e"},
        ["update secret db: a (set)"],
        id="key outside the list can be used, $$ is a dollar",
    ),
    pytest.param(
        [SecretSpec("db", labels={"a": "b"})],
        {"db": stored({"password": "x"}, {"c": "d"})},
        (),
        {},
        ["update secret db: label a"],
        id="label alone",
    ),
    pytest.param(
        [SecretSpec("db", labels={"c": "d"})],
        {"db": stored({}, {"c": "d", "e": "f"})},
        (),
        {},
        [],
        id="further labels stay",
    ),
]


@pytest.mark.parametrize(("wanted", "present", "rotate", "data", "actions"), CASES)
def test_plan(
    wanted: list[SecretSpec],
    present: dict[str, StoredSecret],
    rotate: t.Sequence[str],
    data: dict[str, bytes],
    actions: list[str],
) -> None:
    result = plan(wanted, present, rotate)
    assert (result.changes[0].data, result.actions, result.changed) == (data, actions, bool(actions))


def test_diff_has_words_in_place_of_values() -> None:
    assert plan([DB]).diff == {
        "before": {"db": None},
        "after": {"db": {"labels": {}, "data": {"password": "(generated)", "uri": "(set)"}}},
    }
    kept = plan([DB], KEPT).diff
    assert kept["before"] == kept["after"] == {"db": {"labels": {}, "data": {"password": "(kept)", "uri": "(kept)"}}}
    changed = plan([SecretSpec("db", (PASSWORD,), {"a": "b"})], KEPT, ["db/password"]).diff
    assert changed == {
        "before": {"db": {"labels": {}, "data": {"password": "(present)"}}},
        "after": {"db": {"labels": {"a": "b"}, "data": {"password": "(changed)"}}},
    }


@pytest.mark.parametrize(
    ("wanted", "present", "rotate", "message"),
    [
        ([SecretSpec("db")], {}, (), "secret db does not exist, and no data"),
        ([SecretSpec("Db", (PASSWORD,))], {}, (), "'Db' cannot be the name"),
        ([SecretSpec("a" * 254, (PASSWORD,))], {}, (), "cannot be the name"),
        ([DB, DB], {}, (), "secret db is in the list twice"),
        ([SecretSpec("db", (KeySpec("a/b"),))], {}, (), "'a/b' cannot be a key of secret db"),
        ([SecretSpec("db", (PASSWORD, PASSWORD))], {}, (), "key password of secret db is in the list twice"),
        ([SecretSpec("db", (KeySpec("a", length=15),))], {}, (), "cannot have length 15: 16 to 1024"),
        ([DB], KEPT, ["db/uri"], "cannot rotate db/uri: only generated keys can be, which are db/password"),
        ([SecretSpec("db")], KEPT, ["x"], "cannot rotate x: only generated keys can be, which are none"),
        (
            [SecretSpec("a", (KeySpec("k", template="${b/k}"),))],
            {},
            (),
            "template of a/k uses b/k, but b is not in the list",
        ),
        ([SecretSpec("a", (KeySpec("k", template="${a/z}"),))], {}, (), "template of a/k uses a/z, but a has no key z"),
        ([SecretSpec("a", (KeySpec("k", template="${a/k}"),))], {}, (), r"go in a circle: a/k -> a/k"),
        (
            [SecretSpec("a", (KeySpec("k", template="${a/l}"), KeySpec("l", template="${a/k}")))],
            {},
            (),
            "go in a circle: a/k -> a/l -> a/k",
        ),
        ([SecretSpec("a", (KeySpec("k", template="${a.l}"),))], {}, (), r"has a \$ that begins nothing"),
        ([SecretSpec("a", (KeySpec("k", template="5 $"),))], {}, (), r"has a \$ that begins nothing"),
        (
            [SecretSpec("a", (KeySpec("k", template="${a/l|b64}"), KeySpec("l")))],
            {},
            (),
            r"uses \|b64; the only filter is \|url",
        ),
        (
            [DB],
            {"db": stored({"password": "p", "uri": "u"}, immutable=True)},
            (),
            "db is immutable and uri would change",
        ),
    ],
)
def test_contradictions(
    wanted: list[SecretSpec], present: dict[str, StoredSecret], rotate: t.Sequence[str], message: str
) -> None:
    with pytest.raises(SecretsError, match=message):
        plan(wanted, present, rotate)


def test_binary_value_cannot_be_used_in_text_and_is_not_shown() -> None:
    binary = {"db": StoredSecret("uid", {"password": b"\xff\xfe"})}
    with pytest.raises(SecretsError, match="uses db/password, which is not UTF-8 text") as caught:
        plan([SecretSpec("db", (URI,))], binary)
    assert caught.value.__cause__ is None


def test_check_mode_takes_a_missing_secret_as_one_to_come() -> None:
    assert plan([SecretSpec("db")], check_mode=True).changes[0].stored is None


def test_no_value_in_a_repr() -> None:
    specs = [SecretSpec("db", (KeySpec("a", value="hidden"), PASSWORD))]
    result = plan(specs, {"db": stored({"password": "hidden"})}, ["db/password"])
    assert "hidden" not in repr(specs) + repr(result)
    assert "new-password" not in repr(result)


@given(password=st.text(min_size=1, max_size=30))
def test_percent_encoded_value_survives_the_uri(password: str) -> None:
    spec = SecretSpec("db", (KeySpec("password", value=password), URI))
    uri = plan([spec]).changes[0].data["uri"].decode()
    inner = uri[len("pg://mlflow:") : -len("@h/d")]
    assert unquote(inner) == password
    assert set(inner) <= set(string.ascii_letters + string.digits + "-._~%")


names = st.sampled_from(["a", "b"])
keys = st.builds(KeySpec, st.sampled_from(["x", "y", "z"]), alphabet=st.sampled_from(sorted(ALPHABETS)))
secrets = st.builds(SecretSpec, names, st.lists(keys, unique_by=lambda k: k.key, min_size=1).map(tuple))


@given(wanted=st.lists(secrets, unique_by=lambda s: s.name), first=st.lists(secrets, unique_by=lambda s: s.name))
def test_a_second_plan_is_empty(wanted: list[SecretSpec], first: list[SecretSpec]) -> None:
    def after(result: Plan, before: dict[str, StoredSecret]) -> dict[str, StoredSecret]:
        return {**before, **{c.name: StoredSecret("u", c.all_data, {**c.labels}) for c in result.changes}}

    present = after(plan(first), {})
    done = after(plan(wanted, present), present)
    assert not plan(wanted, done).changed
    assert all(done[name].data[key] == value for name, s in present.items() for key, value in s.data.items())


def test_checksum_is_salted_and_sees_every_change() -> None:
    data = {"a": b"1", "b": b"2"}
    base = checksum("uid", data)
    assert base == checksum("uid", dict(reversed(list(data.items()))))
    others = [
        checksum("other", data),
        checksum("uid", {"a": b"1"}),
        checksum("uid", {"a": b"1", "b": b"3"}),
        checksum("uid", {"ab": b"12"}),
        checksum("uid", {"a": b"1b", "": b"2"}),
        checksum("uid", {}),
    ]
    assert len({base, *others}) == len(others) + 1
    assert checksum("", data) == PENDING
