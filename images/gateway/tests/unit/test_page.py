"""What docs/predictions.md shows is what the gateway takes and answers."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from gateway.anonymise import Anonymiser
from gateway.body import parse_prediction
from gateway.policy import ModelPolicy, Text, parse_models
from gateway.problems import GatewayError

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs/predictions.md").read_text()


def block(language: str, having: str) -> str:
    """The one block of the page that has this text in it."""
    [found] = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S) if having in text]
    return str(found)


def policy() -> ModelPolicy:
    variables = yaml.safe_load(block("yaml", "gateway_models:"))
    [model] = parse_models(yaml.safe_dump(variables["gateway_models"]), source="docs/predictions.md").values()
    return model


def test_its_policy_takes_its_row_and_drops_nothing_of_it() -> None:
    quoted = re.search(r"-d '\n(.*)'$", block("sh", "/v1/predictions"), re.M | re.S)
    assert quoted
    request = parse_prediction(quoted[1].encode(), max_rows=1000, max_string=10_000)
    assert request.model == policy().name
    for row in request.rows:
        assert set(Anonymiser(policy(), bytes(32))(row)) == set(row)


def test_its_policy_is_that_of_the_demo() -> None:
    variables = yaml.safe_load((ROOT / "inventories/demo/host_vars/demo.yml").read_text())
    [model] = parse_models(yaml.safe_dump(variables["gateway_models"]), source="demo.yml").values()
    assert policy() == model


def test_its_rule_for_texts_is_one() -> None:
    columns = yaml.safe_load(block("yaml", "action: text"))
    assert isinstance(ModelPolicy(name="m", target="y", columns=columns).columns["note"], Text)


def test_it_names_every_status_of_an_error() -> None:
    listed = [int(status) for status in re.findall(r"^\| (\d{3}) \|", PAGE, re.M)]
    assert listed == sorted({error.status for error in GatewayError.__subclasses__()})
