"""What in a text says who somebody is, found by Presidio without a language model, a download or a look-up.

Presidio brings its engine, checksums and national numbers; the names, e-mail addresses, cards and numbers behind words such as
"passport" are patterns of our own. In doubt a text loses a word too many: nothing here keeps what only looks harmless.
A name that no list holds and no title announces stays: who cannot accept that drops the column.

Importing this costs 50 to 70 MiB and 2 s (Presidio imports spaCy, whose models we do not use), so only text columns do.
"""

from __future__ import annotations

import itertools
import logging
import re
import typing as t
import unicodedata
from collections.abc import Iterable, Iterator

import phonenumbers
from presidio_analyzer import (
    AnalyzerEngine,
    ContextAwareEnhancer,
    EntityRecognizer,
    LocalRecognizer,
    Pattern,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer import predefined_recognizers as presidio
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from spacy.tokens import Doc
from spacy.vocab import Vocab

from gateway.policy import PolicyError, Text

__all__ = ("MAX_TEXT", "NamesRecognizer", "TextScrubber")

# Presidio's logger repeats the text that it fails on.
logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL + 1)

# Weaker than this are any nine digits; checksums, separators and our own words lift a finding above it.
THRESHOLD = 0.3
# Characters. Presidio compares each finding with each other one, so that time grows with the square of a text.
MAX_TEXT = 10_000

_EMAIL = r"(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,9}"
# Each grouping on its own: Luhn's sum is that of exactly the card, not of the card and the month behind it.
_CARDS = (
    r"(?<!\d)\d{13,19}(?!\d)",
    r"(?<!\d)\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?(?!\d)",
    r"(?<!\d)\d{4}([ -])\d{4}\1\d{4}\1\d{4}",
    r"(?<!\d)\d{4}([ -])\d{6}\1\d{4,5}(?!\d)",
)
_ID_WORDS = (
    r"passport|passeport|reisepass|pasaporte|identity card|id card|personal ausweis|personalausweis|ausweis|identity|"
    r"national id|personal id|citizen id|id|ssn|social security|social insurance|national insurance|bsn|dni|nie|nif|tax id|tin|"
    r"steuer-?id|steuernummer|driver'?s? licen[cs]e|driving licen[cs]e|f(?:ü|ue)hrerschein|employee|personnel|staff|patient|"
    r"customer|client|member|insurance|policy|account"
)
# The word, then perhaps "number", then at least four digits: in one piece with letters, or in groups with gaps.
_ID = (
    rf"\b(?:{_ID_WORDS})\b(?:[^\S\n]{{0,3}}(?:card|code|id|no|nr|num|number|nummer|numéro|número)\b)?\.?[^\S\n]{{0,3}}(?:is|ist|:|#|=|-)?[^\S\n]{{0,3}}"
    r"(?P<found>(?=(?:[A-Z]{0,3}[ ./-]?\d){4})[A-Z]{0,3}[ ./-]?\d{1,12}(?:[ ./-]\d{1,12}){1,6}[A-Z]?"
    r"|(?=(?:[A-Z./-]{0,6}\d){4})[A-Z0-9][A-Z0-9./-]{3,29})"
)
# The title stays, for it is no name; what follows it with a capital does not.
_PARTICLES = r"(?:(?:van|von|vom|zu|de|der|den|del|della|di|da|la|le|du|dos|ten|ter|bin|al|el)[^\S\n]){0,3}"
_CAPITALISED = r"[^\W\d_a-zß-öø-ÿ][\w'\u2019-]*\.?"
_TITLED = (
    r"(?<!\w)(?i:mr|mrs|ms|miss|mx|dr|prof|professor|sir|dame|herr|frau|hr|fr|monsieur|madame|mademoiselle|mme|mlle|señora?|sra?|dhr|mevr|mw)"
    rf"\b\.?[^\S\n]{{1,3}}(?P<found>{_PARTICLES}{_CAPITALISED}(?:[^\S\n]{{1,2}}{_PARTICLES}{_CAPITALISED}){{0,3}})"
)
_WORD = re.compile(r"[^\W\d_]+")


class TextScrubber:
    """`TextScrubber(rule)(text)`: the text with what was found replaced by its kind, such as <PERSON>."""

    def __init__(self, rule: Text) -> None:
        unknown = sorted(set(rule.regions) - phonenumbers.SUPPORTED_REGIONS)
        if unknown:
            raise PolicyError(
                f"regions: {', '.join(unknown)} has no telephone numbers; write a country's two letters, such as GB"
            )
        registry = RecognizerRegistry(recognizers=list(_recognizers(rule)), supported_languages=[rule.language])
        self._engine = AnalyzerEngine(
            registry=registry,
            nlp_engine=_NoLanguageModel(rule.language),
            supported_languages=[rule.language],
            context_aware_enhancer=_NoContext(0, 0, 0, 0),
            default_score_threshold=THRESHOLD,
        )
        self._language = rule.language
        self._entities: list[str] = list(rule.entities)

    def __call__(self, text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        found = self._engine.analyze(text, language=self._language, entities=self._entities)
        return _replace(text, found)


def _recognizers(rule: Text) -> Iterator[EntityRecognizer]:
    """Those of the entities that the rule asks for, all made for its language: none of them depends on it."""
    wanted, language = set(rule.entities), rule.language
    if "PERSON" in wanted:
        yield _Patterns("PERSON", language, [_TITLED])
        if rule.names:
            yield NamesRecognizer(rule.names, language)
    if "PHONE_NUMBER" in wanted:
        yield presidio.PhoneRecognizer(supported_language=language, supported_regions=rule.regions)
    if "EMAIL_ADDRESS" in wanted:
        # Presidio's asks for a public suffix, which the hosts of a closed network do not have
        yield _Patterns("EMAIL_ADDRESS", language, [_EMAIL])
    if "IBAN_CODE" in wanted:
        yield presidio.IbanRecognizer(supported_language=language, regex_flags=re.IGNORECASE)
    if "CREDIT_CARD" in wanted:
        patterns = [Pattern("card", card, THRESHOLD) for card in _CARDS]
        yield presidio.CreditCardRecognizer(supported_language=language, patterns=patterns)
    if "ID_NUMBER" in wanted:
        yield _Patterns("ID_NUMBER", language, [f"(?i:{_ID})", *rule.id_patterns])
        for kind in _NATIONAL:
            yield kind(supported_language=language, supported_entity="ID_NUMBER")


_NATIONAL: tuple[t.Callable[..., EntityRecognizer], ...] = (
    presidio.EsNieRecognizer, presidio.EsNifRecognizer, presidio.FiPersonalIdentityCodeRecognizer, presidio.InAadhaarRecognizer,
    presidio.ItFiscalCodeRecognizer, presidio.KrRrnRecognizer, presidio.NhsRecognizer, presidio.PlPeselRecognizer,
    presidio.SgFinRecognizer, presidio.UkNinoRecognizer, presidio.UsItinRecognizer, presidio.UsSsnRecognizer,
)  # fmt: skip


class NamesRecognizer(LocalRecognizer):
    """Names of a list, in capitals or not, with any space or hyphen between their parts. One pass, however long the list."""

    def __init__(self, names: Iterable[str], language: str) -> None:
        self._names = {_folded(name): True for name in names}
        self._longest = max((len(name) for name in self._names), default=0)
        super().__init__(supported_entities=["PERSON"], supported_language=language, name="names")

    def load(self) -> None:
        pass

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        words = [(_fold(match[0]), match.start(), match.end()) for match in _WORD.finditer(text)]
        return [result for index in range(len(words)) if (result := self._longest_at(words, index)) is not None]

    def _longest_at(self, words: list[tuple[str, int, int]], index: int) -> RecognizerResult | None:
        for length in range(min(self._longest, len(words) - index), 0, -1):
            part = words[index : index + length]
            if tuple(word for word, _, _ in part) in self._names:
                return RecognizerResult("PERSON", part[0][1], part[-1][2], 1.0)
        return None


class _Patterns(LocalRecognizer):
    """Patterns of our own. What stands in the group `found` is taken, or the whole; several of them may overlap."""

    def __init__(self, entity: str, language: str, patterns: Iterable[str]) -> None:
        self._entity = entity
        self._patterns = [re.compile(pattern) for pattern in patterns]
        super().__init__(supported_entities=[entity], supported_language=language, name=f"{entity} patterns")

    def load(self) -> None:
        pass

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        matches = itertools.chain.from_iterable(pattern.finditer(text) for pattern in self._patterns)
        return [
            RecognizerResult(self._entity, *match.span("found" if "found" in match.re.groupindex else 0), 1.0)
            for match in matches
        ]


class _NoContext(ContextAwareEnhancer):
    """Our patterns hold the words that matter; Presidio's own way needs a language model's tokens."""

    def enhance_using_context(
        self, text: str, raw_results: list[RecognizerResult], *_: object, **__: object
    ) -> list[RecognizerResult]:
        return raw_results


class _NoLanguageModel(NlpEngine):
    """What Presidio asks of a language model, answered with nothing: no recognizer here looks at words' kinds."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._empty = Doc(Vocab())

    def load(self) -> None:
        pass

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        return NlpArtifacts([], self._empty, [], [], self, language)

    def process_batch(
        self, texts: Iterable[str], language: str, *_: object, **__: object
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:
        return False

    def is_punct(self, word: str, language: str) -> bool:
        return False

    def get_supported_entities(self) -> list[str]:
        return []

    def get_supported_languages(self) -> list[str]:
        return [self._language]


def _folded(name: str) -> tuple[str, ...]:
    return tuple(_fold(match[0]) for match in _WORD.finditer(name))


def _fold(word: str) -> str:
    """Without capitals and accents: somebody called José is also written JOSE."""
    return "".join(c for c in unicodedata.normalize("NFD", word.casefold()) if not unicodedata.combining(c))


def _replace(text: str, found: Iterable[RecognizerResult]) -> str:
    """Where findings overlap all of it goes, under the name of the surest and longest of them."""
    pieces: list[str] = []
    end = 0
    for group in _overlapping(sorted(found, key=lambda result: (result.start, -result.end))):
        best = max(group, key=lambda result: (result.score, result.end - result.start))
        pieces += [text[end : group[0].start], f"<{best.entity_type}>"]
        end = max(result.end for result in group)
    return "".join([*pieces, text[end:]])


def _overlapping(results: Iterable[RecognizerResult]) -> Iterator[list[RecognizerResult]]:
    group: list[RecognizerResult] = []
    end = 0
    for result in results:
        if group and result.start >= end:
            yield group
            group = []
        group.append(result)
        end = max(result.end, end)
    if group:
        yield group
