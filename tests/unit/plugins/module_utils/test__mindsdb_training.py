# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long a training is waited for, and what is said of its end. Trainings themselves are molecule's, on a real MindsDB."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils import _mindsdb_training
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb import MindsdbRefused, MindsdbUnreachable
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_models import (
    Model,
    ModelPlan,
    ModelStep,
    plan_models,
)
from ansible_collections.airgap.mlops.plugins.module_utils._mindsdb_training import MindsdbModels, Outcome, Waited

M = Model("m", target="y", datasource="plant", query="SELECT x, y FROM t")
TAKEN = {
    "name": "m",
    "version": 2,
    "status": "generating",
    "problem_definition": {"target": "y", "using": {}},
    "fetch_data_query": "SELECT x, y FROM t",
    "engine_name": "tabular",
}
AWAY = MindsdbUnreachable("it does not answer")


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Server:
    """Answers in the order of the script; the last answer stays."""

    shown = "MindsDB"

    def __init__(self, *script: t.Any, refuses: t.Mapping[str, str] | None = None) -> None:
        self._script = list(script)
        self._refuses = refuses or {}
        self.statements: list[str] = []

    def ask(self, method: str, where: str, body: t.Any = None, *, doing: str) -> t.Any:
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sql(self, statement: str, *, doing: str, project: str = "mindsdb") -> list[dict[str, t.Any]]:
        self.statements.append(statement)
        for words, answer in self._refuses.items():
            if words in statement:
                raise MindsdbRefused(answer)
        return [{"version": 2}]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(_mindsdb_training, "time", found)
    return found


def train(
    server: Server, *, wait: bool = True, log: t.Any = lambda text: None, plan: ModelPlan | None = None
) -> Outcome:
    project = MindsdbModels(t.cast("t.Any", server), "mindsdb", log)
    made = plan_models(wanted=[M], actual={}, engines=["tabular"]) if plan is None else plan
    return project.apply(made, [M], wait=wait, timeout=600)


DONE = {**TAKEN, "status": "complete"}
CASES = [
    pytest.param([TAKEN, TAKEN, {**TAKEN, "status": "training"}, DONE], [], id="trained"),
    pytest.param([TAKEN, AWAY, AWAY, DONE], [], id="trained, while its server was away for a moment"),
    pytest.param(
        [TAKEN, {**TAKEN, "status": "error", "error": "TrainingError: no rows, raised at: /a.py#1"}],
        ["training of model m (version 2) failed: TrainingError: no rows"],
        id="failed",
    ),
    pytest.param(
        [TAKEN, None], ["training of model m (version 2) failed: MindsDB does not say why"], id="somebody removed it"
    ),
    pytest.param(
        [TAKEN],
        [
            "model m (version 2) is still in state generating after 600 s. MindsDB goes on with it: "
            "run this again to wait for it, or raise train_timeout"
        ],
        id="too slow",
    ),
]


@pytest.mark.parametrize(("script", "failed"), CASES)
def test_waiting(clock: Clock, script: list[t.Any], failed: list[str]) -> None:
    server = Server(*script)
    assert train(server).failed == tuple(failed)
    assert server.statements == [
        "CREATE MODEL `mindsdb`.`m` FROM `plant` (\nSELECT x, y FROM t\n) PREDICT `y` "
        "USING `engine` = 'tabular', `tag` = 'datasource=plant'"
    ]


def test_a_server_that_stays_away_is_an_error(clock: Clock) -> None:
    with pytest.raises(MindsdbUnreachable):
        train(Server(TAKEN, AWAY))
    assert 180 < clock.now < 240


@pytest.mark.parametrize(
    ("script", "waited"),
    [
        pytest.param([TAKEN, TAKEN, TAKEN, DONE], Waited("m", 2, 2, "complete"), id="trained"),
        pytest.param([TAKEN, {**TAKEN, "status": "error"}], Waited("m", 2, 0, "error"), id="failed"),
        pytest.param([TAKEN], Waited("m", 2, 603, "generating"), id="too slow"),
    ],
)
def test_how_long_it_was_and_what_came_of_it(clock: Clock, script: list[t.Any], waited: Waited) -> None:
    assert train(Server(*script)).waited == (waited,)


def test_not_waiting(clock: Clock) -> None:
    assert train(Server(TAKEN), wait=False) == Outcome((ModelStep("create", "m"),), ())
    assert clock.now == 0


def test_what_is_being_trained_is_waited_for_and_nothing_begun(clock: Clock) -> None:
    server = Server(TAKEN, DONE)
    plan = ModelPlan(steps=(), before={}, after={}, pending={"m": 2})
    assert train(server, plan=plan).failed == ()
    assert server.statements == []


def test_a_training_of_somebody_else_ends_before_ours_begins(clock: Clock) -> None:
    other = {**TAKEN, "version": 1, "status": "error", "error": "not ours"}
    plan = ModelPlan(steps=(ModelStep("retrain", "m", "changed query"),), before={}, after={}, pending={"m": 1})
    server = Server(other, TAKEN, DONE)
    assert train(server, plan=plan).failed == ()
    assert server.statements[0].startswith("RETRAIN `mindsdb`.`m` FROM")


def test_the_engine_may_refuse_a_definition(clock: Clock) -> None:
    text = "MindsDB refused to train model m: [tabular]: OptionError: no such option"
    said = f"{text}\ntabular.errors.OptionError: no such option"
    found = train(Server(TAKEN, refuses={"CREATE MODEL": said}))
    assert found == Outcome(done=(), failed=(text,))


def test_an_engine_and_a_model_may_have_one_name(clock: Clock) -> None:
    model = Model("tabular", target="y", datasource="plant", query="SELECT x, y FROM t")
    server = Server({**TAKEN, "name": "tabular"}, {**TAKEN, "status": "complete"})
    project = MindsdbModels(t.cast("t.Any", server), "mindsdb", lambda text: None)
    project.apply(plan_models(wanted=[model], actual={}, engines=[]), [model], wait=True, timeout=9)
    assert [statement.split(" ", 2)[1] for statement in server.statements] == ["ML_ENGINE", "MODEL"]


def test_what_mindsdb_misread_is_an_error(clock: Clock) -> None:
    with pytest.raises(AirgapError, match="MindsDB took another query than was given"):
        train(Server({**TAKEN, "fetch_data_query": "SELECT x FROM t"}))


def test_progress_is_told(clock: Clock) -> None:
    told: list[str] = []
    train(Server(TAKEN, *[TAKEN] * 20, DONE), log=told.append)
    assert told[0] == "train model m: version 2 is being trained"
    assert told[1].startswith("model m: version 2 is in state generating for 3")
    assert told[-1].startswith("model m: version 2 is trained, after ")
