# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Probes are all run, and each failure is a line that somebody can act on."""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._probes import Check, Probe, report, run_probes


class Clock:
    """Each probe takes a quarter of a second, and sleeping moves the clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> t.Any:
        return self.now

    def sleep(self, seconds: t.Any) -> None:
        self.now += seconds

    def probe(self, component: t.Any, *answers: t.Any) -> t.Any:
        left = list(answers)

        def ask() -> t.Any:
            self.now += 0.25
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return Probe(component, f"Service mlops/{component}:1", "answer", ask)


def seen(checks: t.Any) -> t.Any:
    return [(check.component, check.healthy, check.detail, check.seconds) for check in checks]


def test_a_broken_service_does_not_hide_the_next() -> None:
    clock = Clock()
    probes = [clock.probe("redis", AirgapError("no")), clock.probe("mlflow", "yes")]
    checks = run_probes(probes, clock=clock, sleep=clock.sleep)
    assert seen(checks) == [("redis", False, "no", 0.25), ("mlflow", True, "yes", 0.25)]


def test_what_failed_is_tried_again_and_nothing_else() -> None:
    clock = Clock()
    probes = [clock.probe("redis", AirgapError("no"), AirgapError("no"), "yes"), clock.probe("mlflow", "once", "twice")]
    checks = run_probes(probes, wait=30, clock=clock, sleep=clock.sleep)
    assert seen(checks) == [("redis", True, "yes", 0.25), ("mlflow", True, "once", 0.25)]


def test_trying_has_an_end() -> None:
    clock = Clock()
    checks = run_probes([clock.probe("redis", AirgapError("no"))], wait=30, clock=clock, sleep=clock.sleep)
    assert seen(checks) == [("redis", False, "no", 0.25)]
    assert 30 <= clock.now < 34


def check(
    component: t.Any, work: t.Any, detail: t.Any, healthy: t.Any = False, address: t.Any = "Service mlops/it:1"
) -> t.Any:
    return Check(component, address, work, healthy, detail, 0.5)


def test_report_names_service_address_and_what_to_look_at() -> None:
    assert report(
        [check("redis", "answer a PING", "nothing answers."), check("minio", "list", "x", healthy=True)], "mlops"
    ) == [
        "redis: Service mlops/it:1 failed to answer a PING: nothing answers. "
        "Look at `kubectl -n mlops get pods -l app.kubernetes.io/name=redis` and `kubectl -n mlops logs deployment/redis`."
    ]


def test_report_says_one_cause_once() -> None:
    checks = [
        check("mlflow", "search", "no such service"),
        check("mlflow", "list", "no such service"),
        check("mlflow", "answer", "refused", address="http://node:30001"),
        check("redis", "answer", "no such service"),
    ]
    mlflow, redis = report(checks, "mlops")
    assert mlflow.startswith(
        "mlflow: Service mlops/it:1 failed to search, to list: no such service; http://node:30001 failed to answer: refused. Look"
    )
    assert redis.startswith("redis: ")


def test_nothing_to_report() -> None:
    assert report([check("redis", "answer", "PONG", healthy=True)], "mlops") == []
