"""What may be known of each column of a model: the format of models.yml, read once and refused whole when a part is wrong."""

from __future__ import annotations

import itertools
import math
import re
import sys
import typing as t
import unicodedata
from pathlib import Path

import pydantic
import yaml

__all__ = (
    "ENTITIES", "METRICS", "AuditPolicy", "ColumnRule", "Drop", "Generalise", "Hash", "Keep", "ModelPolicy", "PolicyError", "Text",
    "load_models", "parse_models",
)  # fmt: skip

Entity = t.Literal["PERSON", "PHONE_NUMBER", "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "ID_NUMBER"]
ENTITIES: tuple[Entity, ...] = ("PERSON", "PHONE_NUMBER", "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "ID_NUMBER")
# Fairlearn's names. The differences pass at or below their threshold, the ratios at or above it.
METRICS = (
    "demographic_parity_difference", "demographic_parity_ratio", "equal_opportunity_difference", "equal_opportunity_ratio",
    "equalized_odds_difference", "equalized_odds_ratio",
)  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class PolicyError(Exception):
    """The file of policies is wrong. The message has one line for each fault: file, model, column, what, and the way out."""


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)


class Keep(_Strict):
    """The value as it is."""

    action: t.Literal["keep"] = "keep"


class Drop(_Strict):
    """Nothing. The same as not naming the column, and easier to read."""

    action: t.Literal["drop"] = "drop"


class Hash(_Strict):
    """A pseudonym: HMAC-SHA256 with the key of the site. Equal values stay equal, in each column and table of the site."""

    action: t.Literal["hash"] = "hash"


class Generalise(_Strict):
    """A coarser value: the bin of a number, the month or year of a date, the first characters of a code."""

    action: t.Literal["generalise"] = "generalise"
    bins: tuple[float, ...] | None = pydantic.Field(default=None, strict=False)
    date: t.Literal["month", "year"] | None = None
    prefix: int | None = pydantic.Field(default=None, ge=1, le=64)

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> t.Self:
        ways = [name for name in ("bins", "date", "prefix") if getattr(self, name) is not None]
        if len(ways) != 1:
            raise ValueError(
                f"generalise wants exactly one of bins, date and prefix, not {' and '.join(ways) or 'none'}"
            )
        for low, high in itertools.pairwise(self.bins or ()):
            if not low < high:
                raise ValueError(
                    f"bins must rise, and {high:g} comes after {low:g}; list the edges from low to high, each once"
                )
        if self.bins is not None and (not self.bins or not all(map(math.isfinite, self.bins))):
            raise ValueError("bins wants at least one edge, each a finite number")
        return self


class Text(_Strict):
    """Free text, with what Presidio and our recognizers find in it replaced by its kind: <PERSON>."""

    action: t.Literal["text"] = "text"
    language: str = pydantic.Field(default="en", pattern=r"^[a-z]{2}$")
    entities: tuple[Entity, ...] = pydantic.Field(default=ENTITIES, strict=False)
    names: tuple[str, ...] = pydantic.Field(default=(), strict=False)
    regions: tuple[str, ...] = pydantic.Field(default=("US", "GB"), strict=False)
    id_patterns: tuple[str, ...] = pydantic.Field(default=(), strict=False)

    @pydantic.field_validator("entities")
    @classmethod
    def _entities(cls, entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
        if not entities:
            raise ValueError("wants at least one kind, or leave it out for all; to keep a text as it is, say keep")
        return entities

    @pydantic.field_validator("names")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        settled = tuple(unicodedata.normalize("NFC", name).strip() for name in names)
        if not all(any(map(str.isalpha, name)) for name in settled):
            raise ValueError("a name is without letters; remove it")
        return settled

    @pydantic.field_validator("regions")
    @classmethod
    def _regions(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        for region in regions:
            if not re.fullmatch("[A-Z]{2}", region):
                raise ValueError(f"{region!r} is no region; write the two capital letters of the country, such as US")
        return regions

    @pydantic.field_validator("id_patterns")
    @classmethod
    def _id_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                compiled = re.compile(pattern)
            except re.error as exc:
                raise ValueError(f"{pattern!r} is no regular expression: {exc}") from None
            if compiled.match(""):
                raise ValueError(f"{pattern!r} matches the empty text, so everything; make it longer")
        return patterns


def _short_form(rule: object) -> object:
    return {"action": rule} if isinstance(rule, str) else rule


ColumnRule = t.Annotated[Keep | Drop | Hash | Generalise | Text, pydantic.Field(discriminator="action")]
_Rule = t.Annotated[ColumnRule, pydantic.BeforeValidator(_short_form)]


class AuditPolicy(_Strict):
    """What the bias audit compares. The attributes are taken from the request, kept apart, and told to nobody else."""

    attributes: tuple[str, ...] = pydantic.Field(min_length=1, strict=False)
    favourable: str | bool | int | float
    # attributes that are an input of the model besides, by the rule of their column
    also_input: tuple[str, ...] = pydantic.Field(default=(), strict=False)
    thresholds: dict[str, float] = pydantic.Field(default_factory=lambda: {"demographic_parity_difference": 0.1})
    minimum_group: int = pydantic.Field(default=30, ge=2)

    @pydantic.field_validator("thresholds")
    @classmethod
    def _thresholds(cls, thresholds: dict[str, float]) -> dict[str, float]:
        if not thresholds:
            raise ValueError("wants at least one metric and its threshold, or leave it out for the default")
        for name, value in thresholds.items():
            if name not in METRICS:
                raise ValueError(f"{name!r} is no metric of the audit; choose from {', '.join(METRICS)}")
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value:g}; a threshold lies between 0 and 1")
        return thresholds

    @pydantic.model_validator(mode="after")
    def _inputs_are_attributes(self) -> t.Self:
        if strangers := [name for name in self.also_input if name not in self.attributes]:
            raise ValueError(
                f"also_input names {', '.join(strangers)}, which is no attribute; name it in attributes too, or remove it"
            )
        return self


class ModelPolicy(_Strict):
    """One model as clients know it, and what may be known of the rows they send."""

    name: str
    mindsdb_model: str = pydantic.Field(default_factory=lambda fields: fields.get("name", ""))
    target: str = pydantic.Field(min_length=1)
    columns: dict[str, _Rule] = pydantic.Field(min_length=1)
    cache_ttl: int = pydantic.Field(default=3600, ge=0, le=2_592_000)
    audit: AuditPolicy | None = None

    @pydantic.field_validator("name", "mindsdb_model")
    @classmethod
    def _identifier(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(
                f"{value!r} is no name of a model; use small letters, digits and _, a letter first, at most 63"
            )
        return value

    @pydantic.model_validator(mode="after")
    def _target_is_no_input(self) -> t.Self:
        rule = self.columns.get(self.target)
        if rule is not None and not isinstance(rule, Drop):
            raise ValueError(
                f"column {self.target} is the target, which the model is to find out; drop it or name another target"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _attributes_stay_apart(self) -> t.Self:
        rules = {name: self.columns.get(name) for name in self.audit.attributes} if self.audit else {}
        for name, rule in rules.items():
            if rule is not None and not isinstance(rule, Drop) and self.audit and name not in self.audit.also_input:
                raise ValueError(
                    f"column {name} is an attribute of the audit, which stays apart, and {rule.action} gives it to the model, the cache "
                    "and the log as well; drop it, or say that this is meant: name it in audit.also_input"
                )
        return self

    @property
    def text_columns(self) -> list[str]:
        return [name for name, rule in self.columns.items() if isinstance(rule, Text)]


def load_models(path: Path | str) -> dict[str, ModelPolicy]:
    """The policies of a file, by the name that clients use."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise PolicyError(
            f"{path}: cannot be read ({exc.strerror}); mount the models there or set GATEWAY_MODELS"
        ) from exc
    except UnicodeDecodeError as exc:
        raise PolicyError(f"{path}: is not UTF-8; save it as such") from exc
    return parse_models(text, source=str(path))


def parse_models(text: str, *, source: str) -> dict[str, ModelPolicy]:
    """The same from its text; `source` is named in errors."""
    try:
        documents = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as exc:
        raise PolicyError(f"{source}: is not YAML: {' '.join(str(exc).split())}") from exc
    if not isinstance(documents, list):
        raise PolicyError(f"{source}: wants a list of models, each beginning with `- name: …`")
    models: dict[str, ModelPolicy] = {}
    faults: list[str] = []
    for number, document in enumerate(documents, start=1):
        place = f"{source}: model {_name_of(document, number)}"
        try:
            model = ModelPolicy.model_validate(document)
        except pydantic.ValidationError as exc:
            errors = exc.errors(include_url=False, include_input=False)
            # a default made from another field, which is the fault
            faults += [f"{place}: {_fault(error)}" for error in errors if error["type"] != "default_factory_not_called"]
            continue
        if model.name in models:
            faults.append(f"{place}: stands there twice; give one of them another name")
        models[model.name] = model
    if faults:
        raise PolicyError("\n".join(faults))
    return models


def _name_of(document: object, number: int) -> str:
    name = document.get("name") if isinstance(document, dict) else None
    return name if isinstance(name, str) else f"number {number}"


_WAYS_OUT = {
    "extra_forbidden": "is unknown; remove it or correct its spelling",
    "missing": "is missing; add it",
    "union_tag_invalid": "has an unknown action; choose from keep, drop, hash, generalise and text",
    "union_tag_not_found": "has no action; choose from keep, drop, hash, generalise and text",
    "model_type": "wants options and their values",
    "model_attributes_type": "wants an action, such as keep, or a mapping with one",
}


def _fault(error: t.Mapping[str, t.Any]) -> str:
    """One fault of pydantic's as a line: the place as it stands in the file, what is wrong, the way out."""
    path = [str(step) for step in error["loc"]]
    if path[:1] == ["columns"] and len(path) > 1:
        # pydantic also names the alternative of the union that it looked at, which stands nowhere in the file
        rest = path[2:]
        if rest and rest[0] in ("keep", "drop", "hash", "generalise", "text"):
            rest = rest[1:]
        place = " ".join([f"column {path[1]}:", *([".".join(rest)] if rest else [])])
    else:
        place = ".".join(path)
    what = _WAYS_OUT.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    return f"{place} {what}".strip()


class _UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of two equal keys and says nothing; a column with two rules is a fault."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[t.Any, t.Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(twice)} stands there twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


def main(argv: list[str]) -> int:
    """`python -m gateway.policy FILE|-`: 0 for a file that would be taken, else 1 and its faults, a line each."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m gateway.policy FILE|-\n")
        return 2
    try:
        if argv[0] == "-":
            parse_models(sys.stdin.buffer.read().decode(), source="models")
        else:
            load_models(argv[0])
    except UnicodeDecodeError:
        sys.stderr.write("models: is not UTF-8; save it as such\n")
        return 1
    except PolicyError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
