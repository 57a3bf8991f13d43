"""What can go wrong, in the words of the person who wrote the SQL. No message holds a value of a row."""

from __future__ import annotations

__all__ = ("InputError", "OptionError", "RegistryError", "TabularError", "TrainingError")


class _Nothing:
    def __get__(self, instance: object, owner: type | None = None) -> None:
        return None

    def __set__(self, instance: object, value: object) -> None:
        pass


class TabularError(Exception):
    """One sentence: what was tried, where it failed, and the way out."""

    # MindsDB appends traceback and causes to what it shows of an exception. These are said to the person who wrote
    # the SQL, and have none; every other exception is a bug and keeps its own.
    __traceback__ = _Nothing()
    __cause__ = _Nothing()
    __context__ = _Nothing()


class OptionError(TabularError):
    """USING holds something that the engine does not know."""


class TrainingError(TabularError):
    """The table cannot be learned from."""


class InputError(TabularError):
    """Rows that the model cannot be asked about."""


class RegistryError(TabularError):
    """MLflow is away, or does not have what was asked for."""
