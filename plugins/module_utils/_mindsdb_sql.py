# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""MindsDB's SQL as text: names, values and queries that its parser reads as what they are, or a refusal. Pure.

CREATE MODEL takes no parameters, so what goes into it is written here. The rules are those of mindsdb-sql-parser 0.13:
it has no sign and no exponent in the numbers of USING, it strips every quote from both ends of a string, and its lexer may
take a backslash for an escape where the database behind it does not. What could be read in two ways is refused.
"""

from __future__ import annotations

import math
import re
import typing as t
from decimal import Decimal

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = (
    "SqlError",
    "create_model",
    "literal",
    "name_problem",
    "normal_query",
    "query_problem",
    "quote",
    "retrain_model",
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_ESCAPED_QUOTE = re.compile(r"\\(?:['\"`]|$)")
# In the order of MindsDB's lexer. `blank` is what it drops, `quoted` what it takes as one piece.
_TOKEN = re.compile(
    r"""(?P<blank>(?:\s|/\*[\s\S]*?\*/|--[^\n]*)+)"""
    r"""|(?P<quoted>'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*"|`[^`]+`)"""
    r"""|(?P<open>\()|(?P<close>\))|(?P<end>;)|(?P<cast>::)|(?P<parameter>:[A-Za-z]\w*)"""
    r"""|(?P<stray>['"`]|/\*)|(?P<word>\w+)|(?P<other>.)"""
)


class SqlError(AirgapError):
    """Something that has no safe form in MindsDB's SQL."""


def name_problem(name: str) -> str:
    """What is wrong with the name of a thing in MindsDB, or nothing."""
    if _NAME.fullmatch(name):
        return ""
    return "a name has 1 to 63 lower-case letters, digits and underscores, and starts with a letter"


def quote(name: str) -> str:
    """A name in SQL text. Columns have names that are not ours to choose, so all is taken that backticks can hold."""
    if not name.strip() or "`" in name or "\\" in name or "\n" in name or _UNPRINTABLE.search(name):
        raise SqlError(
            f"'{name}' cannot be a name in MindsDB's SQL: it has no text, a backtick, a backslash or a control character"
        )
    return f"`{name}`"


def literal(value: t.Any) -> str:
    """A value of USING in SQL text."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_string(str(key))}: {literal(item)}' for key, item in value.items())}}}"
    raise SqlError(f"a value of type {type(value).__name__} cannot stand in MindsDB's SQL")


def _number(value: float) -> str:
    if not math.isfinite(value) or value < 0 or math.copysign(1, value) < 0:
        raise SqlError(
            f"{value} cannot stand in MindsDB's SQL, which has only numbers from 0 up there; give it as a string"
        )
    if isinstance(value, int):
        return str(value)
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"


def _string(text: str) -> str:
    if text[:1] == "'" or text[-1:] == "'":
        raise SqlError(f'"{text}" cannot stand in MindsDB\'s SQL, which would lose the quote at its end')
    if _ESCAPED_QUOTE.search(text) or _UNPRINTABLE.search(text):
        raise SqlError(
            "a text with a control character, or with a backslash at its end or before a quote, cannot stand in MindsDB's SQL"
        )
    return "'" + text.replace("'", "''") + "'"


def query_problem(query: str) -> str:
    """What is wrong with a query that shall stand between parentheses, or nothing."""
    if _UNPRINTABLE.search(query):
        return "the query has a control character"
    if _ESCAPED_QUOTE.search(query):
        return "the query has a backslash before a quote or at its end, which MindsDB and the database read differently"
    depth = 0
    for token in _TOKEN.finditer(query):
        if token["stray"]:
            return f"the query has {token['stray']} without its end"
        if token["end"]:
            return "the query has a semicolon; it must be one SELECT, without one at its end"
        if token["parameter"]:
            return f"the query has {token['parameter']}, which MindsDB takes for a parameter and changes; put a space after the colon"
        depth += bool(token["open"]) - bool(token["close"])
        if depth < 0:
            break
    if depth:
        return "the query's parentheses do not match"
    if not re.match(r"(?:SELECT|WITH)\b", normal_query(query), re.IGNORECASE):
        return "the query does not begin with SELECT or WITH"
    return ""


def normal_query(query: str) -> str:
    """The query as it is sent and compared: without comments, and one blank where the text has several."""
    parts = []
    for token in _TOKEN.finditer(query):
        blank = token["blank"]
        # Some texts go on over a line's end ('a' 'b' on two lines is one text in SQL), so lines stay lines.
        parts.append(token[0] if not blank else "\n" if "\n" in blank else " ")
    return "".join(parts).strip()


def create_model(
    *, project: str, name: str, datasource: str | None, query: str | None, target: str, using: t.Mapping[str, t.Any]
) -> str:
    return f"CREATE MODEL {_definition(project, name, datasource, query, target, using)}"


def retrain_model(
    *, project: str, name: str, datasource: str | None, query: str | None, target: str, using: t.Mapping[str, t.Any]
) -> str:
    return f"RETRAIN {_definition(project, name, datasource, query, target, using)}"


def _definition(
    project: str, name: str, datasource: str | None, query: str | None, target: str, using: t.Mapping[str, t.Any]
) -> str:
    source = ""
    if query is not None:
        problem = query_problem(query)
        if problem:
            raise SqlError(f"model {name}: {problem}")
        source = f" FROM {quote(datasource or '')} (\n{normal_query(query)}\n)"
    values = ", ".join(f"{quote(key)} = {literal(value)}" for key, value in using.items())
    return f"{quote(project)}.{quote(name)}{source} PREDICT {quote(target)} USING {values}"
