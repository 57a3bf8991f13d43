"""What is found in texts and what is left, offline: no socket, no file written, no language model."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from functools import cache
from pathlib import Path

import pytest

from gateway.anonymise import Anonymiser, RowError
from gateway.policy import ModelPolicy, Text
from gateway.recognizers import MAX_TEXT, TextScrubber

RULE = Text(
    names=("José García", "Anna", "O'Brien", "Smith-Jones", "李"),
    regions=("US", "GB", "NL"),
    id_patterns=(r"EMP-\d{6}",),
)


@cache
def scrubber(rule: Text = RULE) -> TextScrubber:
    return TextScrubber(rule)


FOUND = [
    # names of the list, and after titles
    ("Anna called", "<PERSON> called"),
    ("ANNA and anna", "<PERSON> and <PERSON>"),
    ("jose garcia, JOSÉ-GARCÍA and Jose\u0301 Garci\u0301a", "<PERSON>, <PERSON> and <PERSON>"),
    ("told O'Brien of smith jones", "told <PERSON> of <PERSON>"),
    ("李 wrote", "<PERSON> wrote"),
    ("Dear Dr. van der Berg and Mrs Ada Lovelace", "Dear Dr. <PERSON> and Mrs <PERSON>"),
    ("Herr Müller-Lüdenscheidt sagt", "Herr <PERSON> sagt"),
    ("saw mr Éluard today", "saw mr <PERSON> today"),
    # e-mail, also of hosts that no public suffix ends
    ("write to ada.l+x@example.co.uk.", "write to <EMAIL_ADDRESS>."),
    ("root@edge1, admin@mlops.local", "<EMAIL_ADDRESS>, <EMAIL_ADDRESS>"),
    ("<müller@bücher.example>", "<<EMAIL_ADDRESS>>"),
    # telephones of the regions, and of others with their country code
    ("call +31 20 794 0800 or (212) 555-2368", "call <PHONE_NUMBER> or <PHONE_NUMBER>"),
    ("020 7946 0958, 020-7940801", "<PHONE_NUMBER>, <PHONE_NUMBER>"),
    ("+49 30 901820", "<PHONE_NUMBER>"),
    # IBAN, by its checksum
    ("to NL91 ABNA 0417 1643 00 today", "to <IBAN_CODE> today"),
    ("DE89370400440532013000 2 days", "<IBAN_CODE> 2 days"),
    ("gb82west12345698765432", "<IBAN_CODE>"),
    # cards, by Luhn's sum, and not with the month behind them
    ("4111 1111 1111 1111 12/26", "<CREDIT_CARD> 12/26"),
    ("4111-1111-1111-1111", "<CREDIT_CARD>"),
    ("5555555555554444 and 2221000000000009", "<CREDIT_CARD> and <CREDIT_CARD>"),
    ("3782 822463 10005", "<CREDIT_CARD>"),
    # numbers that name somebody
    ("SSN 123-45-6789", "SSN <ID_NUMBER>"),
    ("passport no. X1234567", "passport no. <ID_NUMBER>"),
    ("Customer number: 12345", "Customer number: <ID_NUMBER>"),
    ("id 1234 5678 90 is his", "id <ID_NUMBER> is his"),
    ("NIF 12345678Z", "NIF <ID_NUMBER>"),
    ("RSSMRA85T10A562S", "<ID_NUMBER>"),
    ("EMP-123456", "<ID_NUMBER>"),
    # together
    ("Anna <anna@edge1>", "<PERSON> <<EMAIL_ADDRESS>>"),
]


@pytest.mark.parametrize(("text", "expected"), FOUND, ids=[text for text, _ in FOUND])
def test_what_says_who_is_replaced_by_its_kind(text: str, expected: str) -> None:
    assert scrubber()(text) == expected
    assert scrubber()(f"x; {text}\n{text}") == f"x; {expected}\n{expected}"


LEFT = [
    "", " ", "Nothing to see: 42 boxes of type B at 3 pm, order total 1299.99, temperature 21.5",
    "the id is fine, staff were friendly. account closed in May 2024", "between 2020 and 2026-11-22 it rained",
    "4111 1111 1111 1112", "NL91 ABNA 0417 1643 01", "Hannah and Annabel", "the dr said so", "a @ b", "fr 12 and sa 13",
]  # fmt: skip


@pytest.mark.parametrize("text", LEFT)
def test_what_says_nobody_stays(text: str) -> None:
    assert scrubber()(text) == text


def test_only_what_is_asked_for_is_looked_for() -> None:
    text = "Anna: anna@edge1, +31 20 794 0800"
    assert scrubber(Text(entities=("EMAIL_ADDRESS",)))(text) == "Anna: <EMAIL_ADDRESS>, +31 20 794 0800"
    assert scrubber(Text(entities=("PERSON",), names=("anna",)))(text) == "<PERSON>: <PERSON>@edge1, +31 20 794 0800"


def test_any_language_may_be_named() -> None:
    assert scrubber(Text(language="nl", names=("Anna",)))("bel Anna, mevr. De Vries") == "bel <PERSON>, mevr. <PERSON>"


def test_a_text_column_of_a_policy() -> None:
    policy = ModelPolicy.model_validate(
        {"name": "m", "target": "y", "columns": {"note": {"action": "text", "names": ["Ada"]}, "other": "drop"}}
    )
    anonymiser = Anonymiser(policy, bytes(32))
    assert anonymiser({"note": "Ada was here"}) == {"note": "<PERSON> was here"}
    assert anonymiser({"note": None}) == {"note": None}
    with pytest.raises(RowError, match="column note: this rule is for text, and this is a number"):
        anonymiser({"note": 5})
    with pytest.raises(RowError, match=f"more than the {MAX_TEXT}"):
        anonymiser({"note": "x" * (MAX_TEXT + 1)})


HOSTILE = [
    "a",
    "1",
    "a@",
    "Mr ",
    "id ",
    "A1",
    "Anna ",
    " ",
    "0 ",
    "(1) 2",
    "1-",
    "GB",
    ".",
    "id:1-",
    "+",
    "Mr A ",
    "@a.",
    "é",
    "\n",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_long(piece: str) -> None:
    started = time.process_time()
    scrubber()((piece * MAX_TEXT)[:MAX_TEXT])
    scrubber()((piece * MAX_TEXT)[: MAX_TEXT - 1] + "@")
    assert time.process_time() - started < 8


_ALONE = """
import os, sys

def audit(event, args):
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.")):
        raise AssertionError(event)
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        raise AssertionError(f"{args[0]} was opened to write")
    if event in ("os.mkdir", "os.rename", "os.remove", "sqlite3.connect", "subprocess.Popen"):
        raise AssertionError(event)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

sys.addaudithook(audit)
import socket
try:
    socket.socket()
except AssertionError:
    pass
else:
    sys.exit("nothing is watched")
from gateway.anonymise import Anonymiser
from gateway.policy import ModelPolicy
import gateway.cache

def policy(rule):
    return ModelPolicy.model_validate({"name": "m", "target": "y", "columns": {"x": rule}})

assert Anonymiser(policy("hash"), bytes(32))({"x": 1})
assert not {"presidio_analyzer", "spacy", "numpy", "phonenumbers"} & set(sys.modules), "imported before it is needed"
before = resident()
scrub = Anonymiser(policy({"action": "text", "names": ["Ada"]}), bytes(32))
got = scrub({"x": "Ada, ada@example.com, +31 20 794 0800, NL91ABNA0417164300, 4111111111111111, SSN 123-45-6789"})
assert got == {"x": "<PERSON>, <EMAIL_ADDRESS>, <PHONE_NUMBER>, <IBAN_CODE>, <CREDIT_CARD>, SSN <ID_NUMBER>"}, got
print(round(before), round(resident() - before))
"""


def test_offline_on_a_read_only_root(tmp_path: Path) -> None:
    """In a process of its own: sockets, downloads and writes are errors, the home directory is not writable, PyPI's models are absent."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    env = {
        "HOME": str(home), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _ALONE], env=env, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    core, text = map(int, done.stdout.split())
    assert core < 60, "MiB of the library alone"
    assert text < 100, "MiB that text columns cost"
    assert list(home.iterdir()) == []


def test_errors_of_presidio_do_not_repeat_texts() -> None:
    code = textwrap.dedent("""
        import logging
        logging.basicConfig(level=logging.DEBUG)
        from gateway.recognizers import TextScrubber
        from gateway.policy import Text
        TextScrubber(Text(names=("Ada",)))("Ada secret-text ada@example.com NL91ABNA0417164300 4111111111111111")
    """)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    for word in ("secret-text", "ada@example.com", "NL91ABNA"):
        assert word not in done.stdout + done.stderr
