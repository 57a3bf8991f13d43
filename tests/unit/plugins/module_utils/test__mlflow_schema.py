# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._mlflow_schema import (
    Schema,
    SchemaError,
    classify,
    refusal,
    require_ours,
    require_revisions,
)

KNOWN = ("a", "b", "c")
MLFLOW = ("experiments", "metrics", "params", "runs", "tags", "datasets")


@pytest.mark.parametrize(
    ("tables", "revisions", "state", "revision", "reason"),
    [
        pytest.param((), (), "empty", None, "", id="nothing"),
        pytest.param(MLFLOW, ("c",), "current", "c", "", id="at the head"),
        pytest.param(MLFLOW, ("a",), "behind", "a", "", id="first revision"),
        pytest.param((*MLFLOW, "extra"), ("b",), "behind", "b", "", id="further tables do not matter"),
        pytest.param(MLFLOW, ("z",), "ahead", "z", "knows revisions up to c, and not z", id="unknown revision"),
        pytest.param(MLFLOW, ("b", "c"), "ahead", "b, c", "and not b, c", id="two revisions are nobody's release"),
        pytest.param(("orders",), (), "foreign", None, "holds orders", id="other tables"),
        pytest.param(MLFLOW, (), "foreign", None, "has no revision", id="tables of MLflow without a revision"),
        pytest.param(("ab_user",), ("z",), "foreign", "z", "another program's", id="alembic of another program"),
        pytest.param(("ab_user",), ("c",), "foreign", "c", "experiments, metrics, params", id="our revision alone is not enough"),
        pytest.param([f"t{n}" for n in range(10)], (), "foreign", None, "t7 and 2 more", id="a long list is cut"),
    ],
)  # fmt: skip
def test_classify(
    tables: tuple[str, ...], revisions: tuple[str, ...], state: str, revision: str | None, reason: str
) -> None:
    schema = classify(tables=tables, revisions=revisions, known=KNOWN)
    assert (schema.state, schema.revision) == (state, revision)
    assert reason in schema.reason
    assert bool(schema.reason) == (state in ("ahead", "foreign"))


@pytest.mark.parametrize("state", ["absent", "empty", "behind", "current"])
def test_states_that_may_be_worked_on(state: str) -> None:
    require_ours(Schema(state), database="mlflowdb", server="PostgreSQL at x:1")
    assert refusal(Schema(state), database="mlflowdb", server="PostgreSQL at x:1") == ""


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("foreign", "is not MLflow's: why. Name another"),
        ("ahead", "was written by a newer MLflow: why. Use the bundle"),
    ],
)
def test_states_that_are_refused(state: str, message: str) -> None:
    schema, names = Schema(state, "r", "why"), {"database": "mlflowdb", "server": "PostgreSQL at x:1"}
    assert refusal(schema, **names).startswith(f"database mlflowdb of PostgreSQL at x:1 {message}")
    with pytest.raises(SchemaError) as caught:
        require_ours(schema, **names)
    # what a run did before it asked, such as an upgrade of k3s, is not for this message to deny
    assert str(caught.value) == f"{refusal(schema, **names)} The database is as it was."
    assert caught.value.details == {"schema_state": state, "revision": "r"}


@pytest.mark.parametrize("revisions", [[], [""], ["a", "a"]])
def test_revisions_that_cannot_be_compared_with(revisions: list[str]) -> None:
    with pytest.raises(SchemaError, match="the bundle's manifest has them"):
        require_revisions(revisions)
