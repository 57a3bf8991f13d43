"""Decision ids sort by time and read as UUIDs of version 7."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.uuid7 import first_of, is_uuid, uuid7


def test_an_id_is_a_uuid_of_version_7_of_now() -> None:
    parsed = uuid.UUID(uuid7())
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert abs((parsed.int >> 80) / 1000 - time.time()) < 5


def test_ids_rise_and_differ_also_between_threads() -> None:
    ids = [uuid7() for _ in range(5000)]
    assert ids == sorted(set(ids))
    with ThreadPoolExecutor(4) as pool:
        many = list(pool.map(lambda _: uuid7(), range(5000)))
    assert len(set(many)) == 5000


def test_the_first_id_of_a_moment_is_below_its_ids_and_above_earlier_ones() -> None:
    before = uuid7()
    time.sleep(0.005)
    bound = first_of(time.time())
    time.sleep(0.005)
    assert before < bound < uuid7()
    assert uuid.UUID(bound).version == 7


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("01a2039d-b34d-7736-8af4-e3c5944a5123", True),
        ("01A2039D-b34d-7736-8af4-e3c5944a5123", False),
        ("01a2039db34d77368af4e3c5944a5123", False),
        ("01a2039d-b34d-7736-8af4-e3c5944a512'", False),
        ("", False),
        ("01a2039d-b34d-7736-8af4-e3c5944a5123\n", False),
    ],
)
def test_what_is_taken_for_an_id(text: str, good: bool) -> None:
    assert is_uuid(text) is good
