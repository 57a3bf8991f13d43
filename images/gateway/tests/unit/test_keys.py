"""Keys come and go with the mount."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.keys import LOOK_SECONDS, KeyRing

ONE, TWO = "one-key-of-a-client", "two-key-of-a-client"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(tmp_path: Path, clock: Clock) -> KeyRing:
    """A Secret as the kubelet mounts it: links to ..data, which is a link to the folder of the moment."""
    mount(tmp_path, "first", {"shop": ONE, "desk": TWO + "\n"})
    return KeyRing(tmp_path, clock)


def mount(folder: Path, name: str, keys: dict[str, str]) -> None:
    (folder / f"..{name}").mkdir()
    for client, key in keys.items():
        (folder / f"..{name}" / client).write_text(key)
        if not (folder / client).is_symlink():
            (folder / client).symlink_to(f"..data/{client}")
    fresh = folder / "..data_tmp"
    fresh.symlink_to(f"..{name}")
    fresh.rename(folder / "..data")
    for link in folder.iterdir():
        if not link.name.startswith(".") and link.name not in keys:
            link.unlink()


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (f"Bearer {ONE}", "shop"),
        (f"bearer {TWO}", "desk"),
        (f"Bearer  {ONE} ", "shop"),
        (f"Basic {ONE}", None),
        ("Bearer", None),
        ("Bearer ", None),
        (ONE, None),
        ("", None),
        (f"Bearer {ONE}x", None),
        (f"Bearer {ONE[:-1]}", None),
        ("Bearer \xff\xfe", None),
    ],
)
def test_who_a_header_stands_for(ring: KeyRing, header: str, client: str | None) -> None:
    assert ring.client(header.encode("latin-1")) == client


def test_a_revoked_key_stops_and_a_new_one_begins(ring: KeyRing, tmp_path: Path, clock: Clock) -> None:
    assert ring.clients == ["desk", "shop"]
    mount(tmp_path, "second", {"desk": TWO, "new": "new-key-of-a-client"})
    assert ring.client(f"Bearer {ONE}".encode()) == "shop"
    clock.now += LOOK_SECONDS
    assert ring.client(f"Bearer {ONE}".encode()) is None
    assert ring.clients == ["desk", "new"]


def test_a_changed_key_replaces_the_old_one(ring: KeyRing, tmp_path: Path, clock: Clock) -> None:
    assert ring.clients
    mount(tmp_path, "second", {"shop": "changed-key-of-shop", "desk": TWO})
    clock.now += LOOK_SECONDS
    assert ring.client(f"Bearer {ONE}".encode()) is None
    assert ring.client(b"Bearer changed-key-of-shop") == "shop"


def test_a_mount_that_is_gone_lets_nobody_in(ring: KeyRing, tmp_path: Path, clock: Clock) -> None:
    assert ring.clients
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    clock.now += LOOK_SECONDS
    assert ring.client(f"Bearer {ONE}".encode()) is None
    tmp_path.with_name("elsewhere").rename(tmp_path)
    clock.now += LOOK_SECONDS
    assert ring.client(f"Bearer {ONE}".encode()) == "shop"


@pytest.mark.parametrize("key", ["", "short", " " * 40], ids=["empty", "short", "blank"])
def test_a_key_that_is_none_lets_nobody_in(tmp_path: Path, key: str) -> None:
    (tmp_path / "toy").write_text(key)
    ring = KeyRing(tmp_path)
    assert ring.clients == []
    assert ring.client(f"Bearer {key}".encode()) is None
