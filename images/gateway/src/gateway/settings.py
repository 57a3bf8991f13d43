"""What the service is told, read from the environment once. A secret is a file: the value is read where it is used."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

__all__ = ("Settings", "SettingsError", "read_secret")


class SettingsError(Exception):
    """A setting is missing or wrong; the text names it and what it should be."""


@dataclasses.dataclass(frozen=True)
class Settings:
    models: Path = Path("/etc/gateway/models.yml")
    keys_dir: Path = Path("/etc/gateway/keys")
    site_key_file: Path = Path("/etc/gateway/site/key")
    volume: Path = Path("/var/lib/gateway")
    host: str = "0.0.0.0"  # noqa: S104 - in a pod the network decides who may come
    port: int = 8000

    redis_url: str = "redis://redis:6379/0"
    redis_password_file: Path | None = None
    redis_timeout: float = 0.5

    mindsdb_url: str = "http://mindsdb:47334"
    mindsdb_project: str = "mindsdb"
    mindsdb_username_file: Path | None = None
    mindsdb_password_file: Path | None = None
    mindsdb_timeout: float = 20.0
    mindsdb_concurrency: int = 8
    version_seconds: float = 5.0

    mlflow_url: str = "http://mlflow:5000"
    mlflow_experiment: str = "decisions"
    mlflow_timeout: float = 30.0
    ship_batch: int = 200
    ship_seconds: float = 1.0

    audit_database_file: Path | None = None

    max_body_bytes: int = 1024 * 1024
    max_bodies_bytes: int = 32 * 1024 * 1024
    max_working_bytes: int = 1024 * 1024
    max_rows: int = 1000
    max_string: int = 10_000
    max_text: int = 200_000
    text_seconds: float = 10.0
    max_requests: int = 256
    max_connections: int = 512
    body_seconds: float = 10.0
    drain_seconds: float = 20.0

    # full: a decision survives a power cut; normal: only a killed process (see README, Settings)
    decisions_sync: str = "full"
    reserve_bytes: int = 64 * 1024 * 1024
    volume_bytes: int = 0
    retention_days: float = 30.0

    @classmethod
    def from_env(cls, env: t.Mapping[str, str]) -> Settings:
        given = {name: env[key] for name, key in _KEYS.items() if key in env}
        settings = cls(**{name: _convert(_KEYS[name], _TYPES[name], value) for name, value in given.items()})
        settings.check()
        return settings

    def check(self) -> None:
        if self.decisions_sync not in ("full", "normal"):
            raise SettingsError(f"GATEWAY_DECISIONS_SYNC is {self.decisions_sync!r}: it must be full or normal.")
        for name in ("models", "site_key_file"):
            if not getattr(self, name).is_file():
                raise SettingsError(f"{_KEYS[name]} names {getattr(self, name)}, which is no file: mount it there.")
        for name in ("keys_dir", "volume"):
            if not getattr(self, name).is_dir():
                raise SettingsError(f"{_KEYS[name]} names {getattr(self, name)}, which is no folder: mount it there.")


_TYPES = {field.name: str(field.type) for field in dataclasses.fields(Settings)}
_KEYS = {name: f"GATEWAY_{name.upper()}" for name in _TYPES} | {"mlflow_url": "MLFLOW_TRACKING_URI"}


def _convert(key: str, kind: str, value: str) -> t.Any:
    if kind.startswith("Path"):
        return Path(value)
    if kind == "str":
        return value
    try:
        number = int(value) if kind == "int" else float(value)
    except ValueError:
        number = -1
    if not 0 <= number < 1e12:
        raise SettingsError(f"{key} is {value!r}: it must be a number that is not negative.")
    return number


def read_secret(path: Path) -> str:
    """A mounted secret without the line end that editors leave behind."""
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"The secret in {path} cannot be read ({type(exc).__name__}): mount it there.") from exc
