"""Settings come from the environment; a wrong one stops the start with its name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from gateway.settings import _KEYS, Settings, SettingsError, read_secret


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    for folder in ("keys", "volume"):
        (tmp_path / folder).mkdir()
    for file in ("models.yml", "site"):
        (tmp_path / file).touch()
    return {
        "GATEWAY_MODELS": str(tmp_path / "models.yml"),
        "GATEWAY_KEYS_DIR": str(tmp_path / "keys"),
        "GATEWAY_SITE_KEY_FILE": str(tmp_path / "site"),
        "GATEWAY_VOLUME": str(tmp_path / "volume"),
    }


def test_what_is_given_replaces_the_default_by_its_type(env: dict[str, str]) -> None:
    given = {
        "MLFLOW_TRACKING_URI": "http://m:5000",
        "GATEWAY_MAX_ROWS": "5",
        "GATEWAY_DRAIN_SECONDS": "1.5",
        "GATEWAY_X": "y",
    }
    settings = Settings.from_env({**env, **given})
    assert (settings.mlflow_url, settings.max_rows, settings.drain_seconds) == ("http://m:5000", 5, 1.5)
    assert settings.volume == Path(env["GATEWAY_VOLUME"])
    assert settings.audit_database_file is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_PORT", "-1"),
        ("GATEWAY_PORT", "8000.5"),
        ("GATEWAY_BODY_SECONDS", "nan"),
        ("GATEWAY_DECISIONS_SYNC", "off"),
        ("GATEWAY_MODELS", "/nowhere/models.yml"),
        ("GATEWAY_SITE_KEY_FILE", "/nowhere/key"),
        ("GATEWAY_KEYS_DIR", "/nowhere"),
        ("GATEWAY_VOLUME", "/nowhere"),
    ],
)
def test_a_wrong_setting_is_named(env: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({**env, name: value})


def test_a_secret_loses_its_line_end_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" a b \r\n")
    assert read_secret(tmp_path / "secret") == " a b "
    with pytest.raises(SettingsError, match="absent"):
        read_secret(tmp_path / "absent")


def test_the_readme_has_each_setting_and_its_default() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    rows = [line.split("|")[1:3] for line in readme.splitlines() if line.startswith(("| `GATEWAY", "| `MLFLOW"))]
    told = {name.strip(" `") for names, _ in rows for name in names.split(",")} - {"GATEWAY_LOG_LEVEL"}
    assert told == set(_KEYS.values())
    texts = {
        name.strip(" `"): default.strip()
        for names, defaults in rows
        for name, default in zip(
            names.split(","), defaults.split(","), strict=len(names.split(",")) == len(defaults.split(","))
        )
    }
    for field in dataclasses.fields(Settings):
        text = texts.get(_KEYS[field.name])
        if text and text != "none" and "MiB" not in text:
            assert str(field.default) in (text, f"{text}.0"), field.name
