from __future__ import annotations

import traceback

from tabular_handler.errors import InputError, TabularError


def _caught() -> TabularError:
    try:
        try:
            int("a secret value")
        except ValueError as exc:
            raise InputError("one sentence") from exc
    except TabularError as exc:
        return exc
    raise AssertionError


def test_what_mindsdb_shows_is_the_sentence_alone() -> None:
    # MindsDB shows traceback.format_exception of what a handler raises, with all its causes
    shown = "".join(traceback.format_exception(_caught()))
    assert shown == "tabular_handler.errors.InputError: one sentence\n"
