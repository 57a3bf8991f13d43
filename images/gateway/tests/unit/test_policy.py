"""A file of policies is taken whole or refused, with one line a fault that says where and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gateway.policy import (
    AuditPolicy,
    Generalise,
    Hash,
    Keep,
    ModelPolicy,
    PolicyError,
    Text,
    load_models,
    parse_models,
)

FILE = """
- name: income
  target: income
  cache_ttl: 60
  columns:
    age: {action: generalise, bins: [0, 25, 35]}
    birthday: {action: generalise, date: month}
    postcode: {action: generalise, prefix: 3}
    hours: keep
    customer: hash
    note: {action: text, names: [Ada]}
    passport: drop
  audit:
    attributes: [sex]
    favourable: ">50K"
    thresholds: {demographic_parity_difference: 0.1, equalized_odds_ratio: 0.8}
    minimum_group: 30
- {name: other, mindsdb_model: other_v2, target: y, columns: {x: keep}}
"""


def test_the_format() -> None:
    models = parse_models(FILE, source="models.yml")
    income = models["income"]
    assert list(models) == ["income", "other"]
    assert (income.mindsdb_model, models["other"].mindsdb_model) == ("income", "other_v2")
    assert (income.cache_ttl, models["other"].cache_ttl) == (60, 3600)
    assert income.columns["age"] == Generalise(bins=(0, 25, 35))
    assert income.columns["hours"] == Keep()
    assert income.columns["customer"] == Hash()
    assert income.columns["note"] == Text(names=("Ada",))
    assert income.text_columns == ["note"]
    assert income.audit == AuditPolicy(
        attributes=("sex",), favourable=">50K",
        thresholds={"demographic_parity_difference": 0.1, "equalized_odds_ratio": 0.8},
    )  # fmt: skip
    assert models["other"].audit is None


@pytest.mark.parametrize("value", [1, 1.5, True, "yes"])
def test_the_favourable_outcome_keeps_its_type(value: object) -> None:
    text = (
        f"- {{name: m, target: y, columns: {{x: keep}}, audit: {{attributes: [s], favourable: {str(value).lower()}}}}}"
    )
    audit = parse_models(text.replace("yes", "'yes'"), source="f")["m"].audit
    assert audit is not None
    assert (type(audit.favourable), audit.favourable) == (type(value), value)


def model(columns: str = "{x: keep}", **more: str) -> str:
    fields = {"name": "m", "target": "y", "columns": columns, **more}
    return "- {" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}"


FAULTS = [
    pytest.param("a: {", "models.yml: is not YAML", id="no yaml"),
    pytest.param("", "models.yml: wants a list of models", id="empty"),
    pytest.param("name: m", "models.yml: wants a list of models", id="a mapping"),
    pytest.param("- 5", "models.yml: model number 1: ", id="a number for a model"),
    pytest.param(model(name="Income"), "model Income: name 'Income' is no name of a model; use small letters", id="capital"),
    pytest.param(model(name="a b"), "model a b: name 'a b' is no name", id="space"),
    pytest.param(model(name="m;drop"), "is no name of a model", id="SQL as a name"),
    pytest.param(model(mindsdb_model="a`b"), "model m: mindsdb_model 'a`b' is no name", id="SQL as a MindsDB name"),
    pytest.param("- {name: m, columns: {x: keep}}", "model m: target is missing; add it", id="no target"),
    pytest.param("- {target: y, columns: {x: keep}}", "model number 1: name is missing; add it", id="no name"),
    pytest.param(model("{}"), "model m: columns ", id="no columns"),
    pytest.param(model("[x]"), "model m: columns ", id="a list of columns"),
    pytest.param(model(surprise="1"), "model m: surprise is unknown; remove it or correct its spelling", id="unknown field"),
    pytest.param(model("{x: erase}"), "model m: column x: has an unknown action; choose from keep, drop,", id="action"),
    pytest.param(model("{x: {}}"), "model m: column x: has no action; choose from keep", id="no action"),
    pytest.param(model("{x: 5}"), "model m: column x: wants an action", id="a number for an action"),
    pytest.param(model("{x: {action: keep, bins: [1]}}"), "model m: column x: bins is unknown", id="option of another"),
    pytest.param(model("{x: generalise}"), "column x: generalise wants exactly one of bins, date and prefix, not none", id="none"),
    pytest.param(model("{x: {action: generalise, date: month, prefix: 3}}"), "not date and prefix", id="two"),
    pytest.param(model("{x: {action: generalise, bins: [1, 1]}}"), "column x: bins must rise, and 1 comes after 1", id="equal"),
    pytest.param(model("{x: {action: generalise, bins: [2, 1]}}"), "bins must rise, and 1 comes after 2", id="falling"),
    pytest.param(model("{x: {action: generalise, bins: []}}"), "bins wants at least one edge", id="no edges"),
    pytest.param(model("{x: {action: generalise, bins: [.nan]}}"), "each a finite number", id="nan"),
    pytest.param(model("{x: {action: generalise, bins: [a]}}"), "model m: column x: bins.0 ", id="text as an edge"),
    pytest.param(model("{x: {action: generalise, date: day}}"), "model m: column x: date ", id="day"),
    pytest.param(model("{x: {action: generalise, prefix: 0}}"), "model m: column x: prefix ", id="prefix 0"),
    pytest.param(model("{x: {action: text, entities: [NAME]}}"), "model m: column x: entities.0 ", id="entity"),
    pytest.param(model("{x: {action: text, names: ['  ']}}"), "a name is without letters; remove it", id="empty name"),
    pytest.param(model("{x: {action: text, regions: [uk]}}"), "'uk' is no region", id="region"),
    pytest.param(model("{x: {action: text, id_patterns: ['(']}}"), "is no regular expression", id="pattern"),
    pytest.param(model("{x: {action: text, id_patterns: ['a*']}}"), "matches the empty text", id="pattern of everything"),
    pytest.param(model("{x: keep, y: keep}"), "column y is the target, which the model is to find out", id="target as input"),
    pytest.param(model("{x: keep, x: drop}"), "x stands there twice", id="a column twice"),
    pytest.param(model() + "\n" + model(), "model m: stands there twice; give one of them another name", id="a model twice"),
    pytest.param(model(cache_ttl="-1"), "model m: cache_ttl ", id="ttl"),
    pytest.param(model(cache_ttl="'60'"), "model m: cache_ttl ", id="ttl as text"),
    pytest.param(model(audit="{attributes: [], favourable: 1}"), "model m: audit.attributes ", id="no attributes"),
    pytest.param(model(audit="{attributes: [s]}"), "model m: audit.favourable", id="nothing favourable"),
    pytest.param(
        model("{x: keep, s: keep}", audit="{attributes: [s], favourable: 1}"),
        "model m: column s is an attribute of the audit, which stays apart, and keep gives it to the model",
        id="an attribute as input",
    ),
    pytest.param(
        model("{s: keep}", audit="{attributes: [s], favourable: 1, also_input: [t]}"),
        "model m: audit also_input names t, which is no attribute",
        id="a stranger as input",
    ),
    pytest.param(
        model(audit="{attributes: [s], favourable: 1, thresholds: {fairness: 0.1}}"),
        "model m: audit.thresholds 'fairness' is no metric of the audit; choose from demographic_parity_difference",
        id="metric",
    ),
    pytest.param(model(audit="{attributes: [s], favourable: 1, thresholds: {}}"), "at least one metric", id="no metric"),
    pytest.param(
        model(audit="{attributes: [s], favourable: 1, thresholds: {equalized_odds_ratio: 1.5}}"), "between 0 and 1", id="1.5"
    ),
    pytest.param(model(audit="{attributes: [s], favourable: 1, minimum_group: 1}"), "audit.minimum_group", id="a group of one"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_fault_names_its_place_and_the_way_out(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_models(text, source="models.yml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("models.yml: ")
    assert "\n" not in str(caught.value), "one fault, one line"


def test_all_faults_are_told_at_once() -> None:
    text = model("{x: erase, z: {action: generalise, prefix: 0}}") + "\n" + model(name="n", cache_ttl="-1")
    with pytest.raises(PolicyError) as caught:
        parse_models(text, source="f")
    assert [line.split(" ")[2:4] for line in str(caught.value).splitlines()] == [["m:", "column"]] * 2 + [
        ["n:", "cache_ttl"]
    ]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="absent.yml: cannot be read .No such file or directory.; mount"):
        load_models(tmp_path / "absent.yml")
    (tmp_path / "latin.yml").write_bytes("- {name: é}".encode("latin-1"))
    with pytest.raises(PolicyError, match="latin.yml: is not UTF-8"):
        load_models(tmp_path / "latin.yml")


def test_policies_are_checked_without_the_packages_of_the_service() -> None:
    """The controller checks them too, before anything changes there."""
    code = textwrap.dedent("""
        import sys
        for name in ("redis", "presidio_analyzer", "fastapi", "psycopg", "numpy"):
            sys.modules[name] = None
        sys.argv[1:] = ["-"]
        import runpy
        runpy.run_module("gateway.policy", run_name="__main__", alter_sys=True)
    """)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def check(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], input=text, env=env, capture_output=True, text=True, check=False
        )

    good, bad = check(FILE), check(model("{x: erase}"))
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    assert bad.returncode == 1
    assert bad.stderr.startswith("models: model m: column x: has an unknown action")


def test_a_policy_is_a_value() -> None:
    policy = ModelPolicy(name="m", target="y", columns={"x": Keep()})
    assert policy == parse_models(model(), source="f")["m"]


def test_an_attribute_may_be_an_input_where_that_is_said() -> None:
    text = model("{x: keep, s: keep}", audit="{attributes: [s], favourable: 1, also_input: [s]}")
    assert parse_models(text, source="models.yml")["m"].columns["s"].action == "keep"


def test_a_site_may_have_no_model_yet() -> None:
    assert parse_models("[]", source="models.yml") == {}
