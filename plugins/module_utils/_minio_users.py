# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What to do so that a MinIO server's users and policies are as wanted. Pure: no I/O, no module object, no clock.

Secret keys never enter a plan: a step says whose secret is to be set, and whoever applies it holds the value.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._plan import StepPlan
from ansible_collections.airgap.mlops.plugins.module_utils._s3_policy import policy_problems, same_policy

__all__ = ("Policy", "User", "UserPlan", "UserState", "UserStep", "check_users", "plan_users")

# MinIO makes these itself, and makes them again: a document of ours under such a name would grant something else than it says.
BUILT_IN = frozenset(("consoleAdmin", "diagnostics", "readonly", "readwrite", "writeonly"))


@dataclass(frozen=True)
class Policy:
    """A policy document as wanted, under the name by which users get it."""

    name: str
    document: t.Mapping[str, t.Any] | None = None
    state: str = "present"


@dataclass(frozen=True)
class User:
    """A user as wanted. policies=None leaves what it has."""

    access_key: str
    policies: tuple[str, ...] | None = None
    state: str = "present"


@dataclass(frozen=True)
class UserState:
    """A user as the server has it. login: whether the wanted secret key opens it; None where nobody tried."""

    access_key: str
    enabled: bool = True
    policies: frozenset[str] = frozenset()
    login: bool | None = None


@dataclass(frozen=True)
class UserStep:
    action: str  # put_policy | set_secret | set_policies | remove_user | remove_policy
    name: str
    value: t.Any = None

    def __str__(self) -> str:
        if self.action == "put_policy":
            return f"write policy {self.name}"
        if self.action == "set_secret":
            return f"{self.value} user {self.name}"
        if self.action == "set_policies":
            return f"give user {self.name} the policies: {', '.join(self.value) or 'none'}"
        return f"{self.action.replace('_', ' ')} {self.name}"


class UserPlan(StepPlan[UserStep]):
    """What brings users and policies to what is wanted."""


def check_users(
    *, users: t.Sequence[User], policies: t.Sequence[Policy], admin: str, secret_lengths: t.Mapping[str, int]
) -> None:
    """Refuse what no server could do, before one is asked. Of the secret keys only their lengths are known here."""
    problems = [f"policy {name} is listed twice" for name in _repeated(policy.name for policy in policies)]
    problems += [f"user {name} is listed twice" for name in _repeated(user.access_key for user in users)]
    for policy in policies:
        problems += [f"policy {policy.name}: {problem}" for problem in _policy_problems(policy)]
    for user in users:
        problems += [
            f"user {user.access_key}: {problem}"
            for problem in _user_problems(user, admin, secret_lengths.get(user.access_key, 0))
        ]
    if problems:
        raise AirgapError(f"The wanted users and policies cannot be: {'; '.join(problems)}.", problems=problems)


def _repeated(names: t.Iterable[str]) -> list[str]:
    seen: set[str] = set()
    repeated: list[str] = []
    for name in names:
        if name in seen and name not in repeated:
            repeated.append(name)
        seen.add(name)
    return repeated


def _policy_problems(policy: Policy) -> list[str]:
    if policy.name in BUILT_IN:
        return ["MinIO has a policy of its own under this name; choose another"]
    if not policy.name or "," in policy.name or policy.name != policy.name.strip():
        return ["a name has no comma, and no space at its ends"]
    return policy_problems(policy.document or {}) if policy.state == "present" else []


def _user_problems(user: User, admin: str, secret_length: int) -> list[str]:
    if user.access_key == admin:
        return ["this is the root user, which is set where the server is started, not here"]
    # MinIO's own limits, which it would name only after other steps were done.
    if len(user.access_key) < 3 or "=" in user.access_key or "," in user.access_key:
        return ["an access key has at least 3 characters and neither '=' nor ','"]
    if user.state == "present" and not 8 <= secret_length <= 40:
        return [f"a secret key has 8 to 40 characters, this one has {secret_length}"]
    return []


def plan_users(
    *,
    users: t.Sequence[User],
    policies: t.Sequence[Policy],
    actual_users: t.Mapping[str, UserState],
    actual_policies: t.Mapping[str, t.Mapping[str, t.Any]],
) -> UserPlan:
    """Compare, and say what to do in which order. Raises with everything that stands in the way at once."""
    problems = [*_missing_policies(users, policies, actual_policies), *_used_policies(users, policies, actual_users)]
    if problems:
        raise AirgapError(f"No user and no policy was changed: {'; '.join(problems)}.", problems=problems)
    steps = [
        *(step for policy in policies if policy.state == "present" for step in _put(policy, actual_policies)),
        *(step for user in users if user.state == "present" for step in _grant(user, actual_users)),
        *(
            UserStep("remove_user", user.access_key)
            for user in users
            if user.state == "absent" and user.access_key in actual_users
        ),
        *(
            UserStep("remove_policy", policy.name)
            for policy in policies
            if policy.state == "absent" and policy.name in actual_policies
        ),
    ]
    return UserPlan(
        steps=tuple(steps),
        before={
            "policies": {policy.name: actual_policies.get(policy.name) for policy in policies},
            "users": {user.access_key: _describe(user, actual_users.get(user.access_key)) for user in users},
        },
        after={
            "policies": {policy.name: _document_after(policy, actual_policies) for policy in policies},
            "users": {user.access_key: _describe(user, _applied(user, actual_users)) for user in users},
        },
    )


def _missing_policies(
    users: t.Sequence[User], policies: t.Sequence[Policy], actual: t.Mapping[str, t.Any]
) -> t.Iterator[str]:
    gone = {policy.name for policy in policies if policy.state == "absent"}
    known = (set(actual) | {policy.name for policy in policies}) - gone
    for user in users:
        for name in user.policies or () if user.state == "present" else ():
            if name not in known:
                yield f"user {user.access_key} wants policy {name}, which neither the server nor the task has"


def _used_policies(
    users: t.Sequence[User], policies: t.Sequence[Policy], actual: t.Mapping[str, UserState]
) -> t.Iterator[str]:
    """A policy goes only when nobody keeps it: the server would refuse, after other steps were done."""
    changing = {user.access_key for user in users if user.state == "absent" or user.policies is not None}
    for policy in policies:
        keep = [key for key, user in sorted(actual.items()) if policy.name in user.policies and key not in changing]
        if policy.state == "absent" and keep:
            yield f"policy {policy.name} cannot go while it belongs to {', '.join(keep)}: take it from them first"


def _put(policy: Policy, actual: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Iterator[UserStep]:
    if policy.name not in actual or not same_policy(policy.document, actual[policy.name]):
        yield UserStep("put_policy", policy.name, policy.document)


def _grant(user: User, actual: t.Mapping[str, UserState]) -> t.Iterator[UserStep]:
    state = actual.get(user.access_key)
    if state is None:
        yield UserStep("set_secret", user.access_key, "create")
    elif not state.enabled:
        yield UserStep("set_secret", user.access_key, "enable")
    elif not state.login:
        yield UserStep("set_secret", user.access_key, "set the secret key of")
    if user.policies is not None and frozenset(user.policies) != (state.policies if state else frozenset()):
        yield UserStep("set_policies", user.access_key, tuple(sorted(set(user.policies))))


def _applied(user: User, actual: t.Mapping[str, UserState]) -> UserState | None:
    if user.state == "absent":
        return None
    had = actual[user.access_key].policies if user.access_key in actual else frozenset()
    return UserState(user.access_key, policies=had if user.policies is None else frozenset(user.policies), login=True)


def _document_after(policy: Policy, actual: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Mapping[str, t.Any] | None:
    if policy.state == "absent":
        return None
    current = actual.get(policy.name)
    return current if current is not None and same_policy(policy.document, current) else policy.document


def _describe(user: User, state: UserState | None) -> dict[str, t.Any]:
    """What a diff shows: whether the secret key fits, never the key."""
    if state is None:
        return {"state": "absent"}
    if user.state == "absent":
        return {"state": "present"}
    shown: dict[str, t.Any] = {"state": "present" if state.enabled else "disabled"}
    if state.enabled:
        shown["secret_key"] = "as given" if state.login else "another one"
    if user.policies is not None:
        shown["policies"] = sorted(state.policies)
    return shown
