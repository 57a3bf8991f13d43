# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to buckets, and what is refused before anything is."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._minio_buckets import Bucket, BucketState, plan_buckets

OPEN = {
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::models/*"}]
}
OPEN_AS_STORED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": ["*"]},
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::models/*"],
        }
    ],
}


def plan(wanted: t.Any, **state: t.Any) -> t.Any:
    return plan_buckets(wanted=[wanted], actual={wanted.name: BucketState(wanted.name, **{"exists": True, **state})})


CASES = [
    pytest.param(Bucket("models"), {"exists": False}, ["create bucket models"], id="a missing bucket is made"),
    pytest.param(Bucket("models"), {"versioning": "enabled", "quota": 5}, [], id="what is not given stays"),
    pytest.param(
        Bucket("models", versioning="enabled", quota=10, policy=OPEN),
        {"exists": False},
        [
            "create bucket models",
            "set versioning of bucket models to enabled",
            "set quota of bucket models to 10",
            "set the policy of bucket models",
        ],
        id="a new bucket gets everything",
    ),
    pytest.param(
        Bucket("models", versioning="enabled", quota=10, policy=OPEN),
        {"versioning": "enabled", "quota": 10, "policy": OPEN_AS_STORED},
        [],
        id="a stored policy is spelt otherwise",
    ),
    pytest.param(Bucket("models", versioning="suspended"), {}, [], id="never enabled needs no suspending"),
    pytest.param(
        Bucket("models", versioning="suspended"),
        {"versioning": "enabled"},
        ["set versioning of bucket models to suspended"],
        id="suspend",
    ),
    pytest.param(Bucket("models", quota=0), {"quota": 10}, ["set quota of bucket models to 0"], id="take a quota away"),
    pytest.param(
        Bucket("models", quota=0), {"exists": False}, ["create bucket models"], id="a new bucket has no quota"
    ),
    pytest.param(
        Bucket("models", policy={}),
        {"policy": OPEN_AS_STORED},
        ["remove the policy of bucket models"],
        id="take a policy away",
    ),
    pytest.param(Bucket("models", policy={}), {}, [], id="no policy to take away"),
    pytest.param(
        Bucket("models", object_lock=True, versioning="enabled"),
        {"exists": False},
        ["create bucket models with object lock"],
        id="object lock brings versioning",
    ),
    pytest.param(
        Bucket("models", object_lock=True),
        {"object_lock": True, "versioning": "enabled"},
        [],
        id="object lock is there",
    ),
    pytest.param(Bucket("models", state="absent"), {"exists": False}, [], id="absent already"),
    pytest.param(Bucket("models", state="absent"), {}, ["remove bucket models"], id="an empty bucket goes"),
    pytest.param(
        Bucket("models", state="absent", force=True),
        {"empty": False},
        ["empty bucket models", "remove bucket models"],
        id="force empties it",
    ),
    pytest.param(
        Bucket("models", state="absent", force=True), {}, ["remove bucket models"], id="force has nothing to empty"
    ),
]


@pytest.mark.parametrize(("wanted", "state", "actions"), CASES)
def test_plan(wanted: t.Any, state: t.Any, actions: t.Any) -> None:
    found = plan(wanted, **state)
    assert found.actions == actions
    assert found.changed is bool(actions)
    assert (found.diff["before"] != found.diff["after"]) is bool(actions)


def test_diff_shows_what_the_task_speaks_of() -> None:
    found = plan(Bucket("models", quota=10), quota=5, versioning="enabled")
    assert found.diff == {
        "before": {"models": {"state": "present", "quota": 5}},
        "after": {"models": {"state": "present", "quota": 10}},
    }


def test_diff_keeps_a_policy_of_the_same_meaning_as_it_is() -> None:
    found = plan(Bucket("models", policy=OPEN, quota=1), policy=OPEN_AS_STORED)
    assert found.after["models"]["policy"] == OPEN_AS_STORED


REFUSED = [
    pytest.param(Bucket("models", state="absent"), {"empty": False}, "bucket models is not empty", id="a full bucket"),
    pytest.param(Bucket("models", object_lock=True), {}, "has no object lock", id="object lock comes too late"),
    pytest.param(
        Bucket("models", object_lock=False), {"object_lock": True}, "has object lock", id="object lock cannot go"
    ),
    pytest.param(
        Bucket("models", versioning="suspended"),
        {"object_lock": True},
        "cannot be suspended",
        id="object lock needs versioning",
    ),
    pytest.param(
        Bucket("models", versioning="suspended", object_lock=True), {}, "needs versioning", id="a contradiction"
    ),
    pytest.param(Bucket("Models"), {}, "lower-case letters", id="a bad name"),
    pytest.param(Bucket("192.168.1.1"), {}, "lower-case letters", id="an address"),
    pytest.param(Bucket("a..b"), {}, "lower-case letters", id="two dots"),
    pytest.param(Bucket("models", quota=-1), {}, "below 0", id="a negative quota"),
    pytest.param(Bucket("models", policy={"Version": "x"}), {}, "no Statement", id="a policy without statements"),
    pytest.param(
        Bucket("other", policy=OPEN),
        {"exists": False},
        "arn:aws:s3:::models/* is not in this bucket",
        id="somebody else's policy",
    ),
]


@pytest.mark.parametrize(("wanted", "state", "message"), REFUSED)
def test_refused(wanted: t.Any, state: t.Any, message: t.Any) -> None:
    with pytest.raises(AirgapError, match=message.replace("*", r"\*")):
        plan(wanted, **state)


def test_all_obstacles_are_named_at_once() -> None:
    wanted = [Bucket("one", state="absent"), Bucket("two", state="absent")]
    actual = {name: BucketState(name, exists=True, empty=False) for name in ("one", "two")}
    with pytest.raises(AirgapError, match=r"No bucket was changed: bucket one .*; bucket two ") as error:
        plan_buckets(wanted=wanted, actual=actual)
    assert len(error.value.details["problems"]) == 2


def test_twice() -> None:
    with pytest.raises(AirgapError, match="bucket one is listed twice"):
        plan_buckets(wanted=[Bucket("one"), Bucket("one")], actual={})
