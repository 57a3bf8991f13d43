# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Policies that mean the same are the same, and no others."""

from __future__ import annotations

import random
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.airgap.mlops.plugins.module_utils._s3_policy import as_sent, policy_problems, same_policy

READ = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/*"]}
LIST = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::b"]}


def document(*statements: t.Any) -> t.Any:
    return {"Version": "2012-10-17", "Statement": list(statements)}


SAME = [
    pytest.param(document(READ, LIST), document(LIST, READ), id="order of statements"),
    pytest.param(document(READ), {"Statement": READ}, id="one statement without its list, and the only version"),
    pytest.param(document(READ), document({**READ, "Action": "s3:GetObject"}), id="a string for a list of one"),
    pytest.param(document(READ), document({**READ, "Sid": "reader"}), id="a Sid"),
    pytest.param(document(READ), {**document(READ), "Id": "x"}, id="an Id"),
    pytest.param(document(READ), document({**READ, "Condition": {}}), id="an empty condition"),
    pytest.param(document({**READ, "Principal": "*"}), document({**READ, "Principal": {"AWS": ["*"]}}), id="everybody"),
    pytest.param(
        document({**READ, "Action": ["s3:GetObject", "s3:PutObject"]}),
        document(READ, {**READ, "Action": "s3:PutObject"}),
        id="one statement split in two",
    ),
    pytest.param(
        document({**READ, "Condition": {"Bool": {"aws:SecureTransport": False}}}),
        document({**READ, "Condition": {"Bool": {"aws:SecureTransport": ["false"]}}}),
        id="a boolean as a string",
    ),
    pytest.param(None, {}, id="none and empty"),
    pytest.param(None, document(), id="none and no statements"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_same(one: t.Any, other: t.Any) -> None:
    for left, right in ((one, other), (other, one)):
        assert same_policy(left, right)


DIFFERENT = [
    pytest.param(document(READ), document({**READ, "Effect": "Deny"}), id="effect"),
    pytest.param(document(READ), document({**READ, "Action": ["s3:*"]}), id="action"),
    pytest.param(document(READ), document({**READ, "Resource": "arn:aws:s3:::c/*"}), id="resource"),
    pytest.param(document(READ), document(READ, LIST), id="one statement more"),
    pytest.param(
        document(READ), document({**READ, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}), id="condition"
    ),
    pytest.param(
        document({**READ, "Principal": "*"}), document({**READ, "NotPrincipal": "*"}), id="principal turned round"
    ),
    pytest.param(
        document({"Effect": "Allow", "NotAction": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}),
        document(
            {"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"},
            {"Effect": "Allow", "NotAction": "s3:PutObject", "Resource": "*"},
        ),
        id="NotAction split in two allows everything",
    ),
    pytest.param(
        document({**READ, "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.1", "10.0.0.2"]}}}),
        document({**READ, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.1"}}}),
        id="fewer values of a condition",
    ),
    pytest.param(document(READ), {"Version": "2008-10-17", "Statement": READ}, id="version"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different(one: t.Any, other: t.Any) -> None:
    for left, right in ((one, other), (other, one)):
        assert not same_policy(left, right)


names = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=3, unique=True)
statements = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": names, "Resource": names},
    optional={
        "Principal": st.just({"AWS": ["*"]}),
        "Condition": st.dictionaries(st.sampled_from("xy"), st.dictionaries(names.map("".join), names)),
    },
)
documents = st.lists(statements, max_size=4).map(lambda items: document(*items))


def respell(policy: t.Any, seed: t.Any) -> t.Any:
    """The same policy as somebody else would write it."""
    rng = random.Random(seed)  # noqa: S311  (nothing is hidden by it)

    def listed(values: t.Any) -> t.Any:
        values = rng.sample(values, len(values))
        return values[0] if len(values) == 1 and rng.random() < 0.5 else values

    def statement(item: t.Any) -> t.Any:
        item = {key: listed(value) if key in ("Action", "Resource") else value for key, value in item.items()}
        if rng.random() < 0.5:
            item["Sid"] = str(rng.random())
        if item.get("Principal") and rng.random() < 0.5:
            item["Principal"] = "*"
        return item

    items = [statement(item) for item in policy["Statement"]]
    split = [
        {**item, "Action": action}
        for item in items
        for action in (item["Action"] if isinstance(item["Action"], list) else [item["Action"]])
    ]
    items = rng.choice([items, split, items + split])
    return {"Version": "2012-10-17", "Statement": rng.sample(items, len(items))}


@given(documents, st.integers())
def test_spelling_makes_no_difference(policy: t.Any, seed: t.Any) -> None:
    assert same_policy(policy, respell(policy, seed))


@given(documents, documents)
def test_same_means_that_every_single_request_gets_the_same_answer(one: t.Any, other: t.Any) -> None:
    assert same_policy(one, other) == (cells(one) == cells(other))


def cells(policy: t.Any) -> t.Any:
    """Every question that the generated documents can answer, asked in the plainest way."""
    return {
        (item["Effect"], action, resource, str(item.get("Principal")), question(item.get("Condition") or {}))
        for item in policy["Statement"]
        for action in item["Action"]
        for resource in item["Resource"]
    }


def question(condition: t.Any) -> t.Any:
    return frozenset(
        (operator, key, tuple(sorted(values))) for operator, keys in condition.items() for key, values in keys.items()
    )


PROBLEMS = [
    pytest.param(document(READ), [], id="good"),
    pytest.param({"Statement": READ}, [], id="good, a single statement"),
    pytest.param({}, ["it has no Statement"], id="empty"),
    pytest.param({"Statement": "x"}, ["it has no Statement"], id="a word"),
    pytest.param({"Statement": ["x"]}, ["statement 1 is not a mapping"], id="words"),
    pytest.param(
        document(READ, {"effect": "Allow"}),
        [
            "statement 2 has unknown keys: effect",
            "statement 2 has the Effect None: it must be Allow or Deny",
            "statement 2 names no Action",
        ],
        id="misspelt",
    ),
]


@pytest.mark.parametrize(("policy", "problems"), PROBLEMS)
def test_problems(policy: t.Any, problems: t.Any) -> None:
    assert policy_problems(policy) == problems


def test_as_sent() -> None:
    assert as_sent({"Statement": READ}) == document(READ)
    assert as_sent(document(READ, LIST)) == document(READ, LIST)
    assert as_sent({"Version": "2008-10-17", "Id": "x", "Statement": []}) == {
        "Version": "2008-10-17",
        "Id": "x",
        "Statement": [],
    }
