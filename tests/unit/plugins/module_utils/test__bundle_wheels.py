# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pathlib
import re

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_wheels import (
    Locked,
    LockError,
    Target,
    above,
    is_pure,
    parse_lock,
    render_lock,
    select,
    split_sdists,
    wheel_name,
    without,
)

ROOT = pathlib.Path(__file__).resolve().parents[4]
HASH = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
LOCK = f"""\
# made by a tool
async-timeout==5.0.1 ; python_full_version < '3.11.3' \\
    --hash={HASH}
PyYAML==6.0.3 \\
    --hash={HASH} \\
    --hash={OTHER}
"""
ASYNC = Locked("async-timeout", "5.0.1", "python_full_version < '3.11.3'", (HASH,))
PYYAML = Locked("PyYAML", "6.0.3", "", (HASH, OTHER))


def test_a_lock_is_read_and_written() -> None:
    assert parse_lock(LOCK, "l") == [ASYNC, PYYAML]
    assert parse_lock(render_lock([PYYAML]), "l") == [PYYAML]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("redis>=5", "l: expected NAME==VERSION with hashes, found 'redis>=5'", id="loose"),
        pytest.param("redis==5", "l: redis==5 has no hash", id="no hash"),
        pytest.param("-r other.txt", "found '-r other.txt'", id="option"),
        pytest.param("redis==5 --hash=md5:1", "expected NAME==VERSION", id="weak hash"),
    ],
)
def test_a_lock_that_does_not_lock_is_named(text: str, message: str) -> None:
    with pytest.raises(LockError, match=re.escape(message)):
        parse_lock(text, "l")


@pytest.mark.parametrize(
    ("python", "expected"),
    [("3.9", [ASYNC, PYYAML]), ("3.11", [ASYNC, PYYAML]), ("3.12", [PYYAML]), ("3.13", [PYYAML])],
)
def test_markers_are_those_of_the_target(python: str, expected: list[Locked]) -> None:
    assert select([ASYNC, PYYAML], Target(python, "aarch64")) == expected


def test_a_target_in_the_words_of_its_tools() -> None:
    options = Target.for_arch("3.9", "arm64").pip_options
    assert options[:4] == ["--python-version", "3.9", "--platform", "manylinux_2_28_aarch64"]
    assert "manylinux2014_aarch64" in options
    assert not any("x86_64" in option for option in options)
    assert Target.for_arch("3.13", "amd64").uv_options[-1] == "x86_64-manylinux_2_28"


def test_packages_without_wheels_are_set_apart() -> None:
    assert split_sdists([ASYNC, PYYAML], ["async_timeout"], "l") == ([PYYAML], [ASYNC])
    with pytest.raises(LockError, match="l does not pin mindsdb-sdk"):
        split_sdists([PYYAML], ["mindsdb-sdk"], "l")


def test_known_packages_are_left_out_by_their_normal_name() -> None:
    assert without([PYYAML, ASYNC], [Locked("pyyaml", "1", "", ())]) == [ASYNC]


def test_an_image_adds_what_its_base_lacks() -> None:
    assert above([PYYAML, ASYNC], [Locked("pyyaml", "6.0.3", "", ())], "l") == [ASYNC]
    with pytest.raises(LockError, match=re.escape("l pins PyYAML==6.0.3, but the image's base holds PyYAML==5")):
        above([PYYAML], [Locked("pyyaml", "5", "", ())], "l")


def test_names_of_wheels() -> None:
    assert wheel_name("mindsdb_sql_parser-0.13.8-py3-none-any.whl") == "mindsdb-sql-parser"
    assert is_pure("six-1.17.0-py2.py3-none-any.whl")
    assert not is_pure("cffi-2.0.0-cp39-cp39-manylinux2014_x86_64.manylinux_2_17_x86_64.whl")


@pytest.mark.parametrize(
    "lock",
    [
        "playbooks/files/requirements-node.txt",
        "images/gateway/requirements.txt",
        "images/mindsdb/requirements.txt",
        "images/mlflow/requirements.txt",
        "images/mlflow/requirements-build.txt",
    ],
)
def test_the_locks_of_the_collection_are_whole(lock: str) -> None:
    assert parse_lock((ROOT / lock).read_text(), lock)


def test_every_node_python_gets_what_the_modules_import() -> None:
    packages = parse_lock((ROOT / "playbooks/files/requirements-node.txt").read_text(), "node")
    for python in ("3.9", "3.10", "3.11", "3.12", "3.13"):
        names = {item.name for item in select(packages, Target(python, "x86_64"))}
        assert {"kubernetes", "pg8000", "minio", "redis", "pyyaml", "jsonpatch", "jmespath", "pip"} <= names
