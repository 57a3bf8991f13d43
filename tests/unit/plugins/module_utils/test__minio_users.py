# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to users and policies, and what is refused before anything is."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._minio_users import (
    Policy,
    User,
    UserState,
    check_users,
    plan_users,
)

DOCUMENT = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::models/*"}]}
STORED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::models/*"]}],
}
OTHER = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::models/*"}]}


def plan(users: t.Any = (), policies: t.Any = (), actual_users: t.Any = (), actual_policies: t.Any = None) -> t.Any:
    return plan_users(
        users=users,
        policies=policies,
        actual_users={user.access_key: user for user in actual_users},
        actual_policies=actual_policies or {},
    )


def user(**fields: t.Any) -> t.Any:
    return UserState("anna", **{"policies": frozenset({"reader"}), "login": True, **fields})


ANNA = User("anna", policies=("reader",))
READER = Policy("reader", DOCUMENT)

CASES = [
    pytest.param(
        {"users": [ANNA], "policies": [READER]},
        ["write policy reader", "create user anna", "give user anna the policies: reader"],
        id="everything is new",
    ),
    pytest.param(
        {"users": [ANNA], "policies": [READER], "actual_users": [user()], "actual_policies": {"reader": STORED}},
        [],
        id="as wanted",
    ),
    pytest.param(
        {"users": [ANNA], "policies": [READER], "actual_users": [user()], "actual_policies": {"reader": OTHER}},
        ["write policy reader"],
        id="a policy of another meaning",
    ),
    pytest.param(
        {"users": [ANNA], "actual_users": [user(login=False)], "actual_policies": {"reader": STORED}},
        ["set the secret key of user anna"],
        id="the server refuses the secret key",
    ),
    pytest.param(
        {"users": [ANNA], "actual_users": [user(enabled=False, login=None)], "actual_policies": {"reader": STORED}},
        ["enable user anna"],
        id="a disabled user",
    ),
    pytest.param(
        {
            "users": [ANNA],
            "actual_users": [user(policies=frozenset({"reader", "readwrite"}))],
            "actual_policies": {"reader": STORED},
        },
        ["give user anna the policies: reader"],
        id="a policy too many is taken away",
    ),
    pytest.param(
        {"users": [User("anna", ())], "actual_users": [user()]},
        ["give user anna the policies: none"],
        id="take all policies",
    ),
    pytest.param({"users": [User("anna")], "actual_users": [user()]}, [], id="policies not given stay"),
    pytest.param(
        {"users": [User("anna", state="absent")], "actual_users": [user()]}, ["remove user anna"], id="remove a user"
    ),
    pytest.param({"users": [User("anna", state="absent")]}, [], id="absent already"),
    pytest.param(
        {
            "users": [User("anna", state="absent")],
            "policies": [Policy("reader", state="absent")],
            "actual_users": [user()],
            "actual_policies": {"reader": STORED},
        },
        ["remove user anna", "remove policy reader"],
        id="a policy goes after its last user",
    ),
    pytest.param({"policies": [Policy("reader", state="absent")]}, [], id="no policy to remove"),
    pytest.param({"actual_users": [user()], "actual_policies": {"reader": STORED}}, [], id="strangers stay"),
]


@pytest.mark.parametrize(("situation", "actions"), CASES)
def test_plan(situation: t.Any, actions: t.Any) -> None:
    found = plan(**situation)
    assert found.actions == actions
    assert found.changed is bool(actions)
    assert (found.diff["before"] != found.diff["after"]) is bool(actions)


def test_diff_says_whether_the_secret_fits() -> None:
    found = plan(users=[ANNA], actual_users=[user(login=False)], actual_policies={"reader": STORED})
    assert found.before["users"]["anna"] == {"state": "present", "secret_key": "another one", "policies": ["reader"]}
    assert found.after["users"]["anna"] == {"state": "present", "secret_key": "as given", "policies": ["reader"]}


REFUSED = [
    pytest.param(
        {"users": [ANNA]},
        "user anna wants policy reader, which neither the server nor the task has",
        id="an unknown policy",
    ),
    pytest.param(
        {"users": [ANNA], "policies": [Policy("reader", state="absent")], "actual_policies": {"reader": STORED}},
        "wants policy reader",
        id="a policy that goes",
    ),
    pytest.param(
        {
            "policies": [Policy("reader", state="absent")],
            "actual_users": [user()],
            "actual_policies": {"reader": STORED},
        },
        "policy reader cannot go while it belongs to anna",
        id="a policy in use",
    ),
]


@pytest.mark.parametrize(("situation", "message"), REFUSED)
def test_refused(situation: t.Any, message: t.Any) -> None:
    with pytest.raises(AirgapError, match=message):
        plan(**situation)


IMPOSSIBLE = [
    pytest.param([User("root")], [], "this is the root user", id="root"),
    pytest.param([User("ab")], [], "at least 3 characters", id="a short name"),
    pytest.param([User("a=b")], [], "neither '='", id="a bad character"),
    pytest.param([User("anna"), User("anna")], [], "user anna is listed twice", id="a user twice"),
    pytest.param([User("bert")], [], "8 to 40 characters, this one has 41", id="a long secret key"),
    pytest.param([], [READER, READER], "policy reader is listed twice", id="a policy twice"),
    pytest.param([], [Policy("readwrite", DOCUMENT)], "MinIO has a policy of its own", id="a policy of MinIO's"),
    pytest.param([], [Policy("a,b", DOCUMENT)], "no comma", id="a comma"),
    pytest.param([], [Policy("reader", {"statement": []})], "no Statement", id="no statement"),
]


@pytest.mark.parametrize(("users", "policies", "message"), IMPOSSIBLE)
def test_impossible(users: t.Any, policies: t.Any, message: t.Any) -> None:
    with pytest.raises(AirgapError, match=message):
        check_users(users=users, policies=policies, admin="root", secret_lengths={"anna": 12, "bert": 41})
