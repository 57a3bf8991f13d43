"""The anonymise job against a real PostgreSQL: what the target holds, when it is replaced, and what is never told."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import re
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import psycopg
import pytest
from psycopg import sql

from gateway.tables import main

KEY = b"a site key that only this test has"
POLICY: dict[str, t.Any] = {
    "name": "income",
    "target": "income",
    "columns": {
        "age": {"action": "generalise", "bins": [0, 40, 65]},
        "postcode": {"action": "generalise", "prefix": 2},
        "hours": "keep",
        "since": "keep",
        "customer": "hash",
        "note": "drop",  # one test reads it: a run would otherwise import spaCy
        "passport": "drop",
    },
}
TABLE = """
CREATE SCHEMA source; CREATE SCHEMA anonymous;
CREATE TYPE source.sort AS ENUM ('low', 'high');
CREATE TABLE source.people (
    customer bigint, age integer, postcode text, hours numeric(6, 2), since date, note text, passport text, secret text, income source.sort
);
INSERT INTO source.people
SELECT n, 20 + n % 60, (1000 + n % 30)::text || ' AB', n / 4.0, date '2026-01-01' + n, 'Ada, mail ada' || n || '@edge1', 'X' || n,
       'unnamed', (ARRAY['low', 'high'])[1 + n % 2]::source.sort
FROM generate_series(1, 1200) AS n;
INSERT INTO source.people (customer, age, postcode) VALUES (NULL, 30, '1001'), (NULL, 31, '1002')
"""


class Job:
    """A database of its own, and the job as its pod runs it: in a process, told by files and the environment."""

    def __init__(self, folder: Path, settings: dict[str, t.Any], database: str) -> None:
        self.folder = folder
        self.settings = {**settings, "dbname": database}
        self.connection = psycopg.connect(**self.settings, autocommit=True)
        user, password = (self.settings[name] for name in ("user", "password"))
        self.uri = f"postgresql://{user}:{password}@{settings['host']}:{settings['port']}/{database}"
        self.policy = json.loads(json.dumps(POLICY))
        self.definition: dict[str, t.Any] = {
            "model": "income",
            "source": {"schema": "source", "table": "people"},
            "target": {"schema": "anonymous", "table": "people"},
            "quasi_identifiers": ["age", "postcode"],
            "minimum_k": 5,
            "batch_rows": 100,
        }
        self.key = KEY
        self.env: dict[str, str] = {}

    def command(self) -> tuple[list[str], dict[str, str]]:
        files = {"models.yml": [self.policy], "definition.json": self.definition}
        for name, content in files.items():
            (self.folder / name).write_text(json.dumps(content))
        (self.folder / "uri").write_text(self.uri + "\n")
        (self.folder / "key").write_bytes(self.key)
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "GATEWAY_MODELS": str(self.folder / "models.yml"),
            "GATEWAY_SITE_KEY_FILE": str(self.folder / "key"),
            "GATEWAY_ANONYMISE_SOURCE_FILE": str(self.folder / "uri"),
            **self.env,
        }
        code = "import sys; from gateway.tables import main; sys.exit(main(sys.argv[1:]))"
        return [sys.executable, "-c", code, "--definition", str(self.folder / "definition.json")], env

    def run(self) -> subprocess.CompletedProcess[str]:
        """In this process, since most tests need many runs."""
        (*_, flag, definition), env = self.command()
        out, err = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, env, clear=True), redirect_stdout(out), redirect_stderr(err):
            code = main([flag, definition])
        return subprocess.CompletedProcess([], code, out.getvalue(), err.getvalue())

    def done(self) -> dict[str, t.Any]:
        done = self.run()
        assert done.returncode == 0, done.stderr
        return t.cast(dict[str, t.Any], json.loads(done.stdout))

    def refused(self, code: int = 2) -> str:
        """What it says, once it was refused and has changed nothing."""
        before = self.state()
        done = self.run()
        assert done.returncode == code, done.stdout + done.stderr
        assert self.state() == before
        return done.stderr

    def rows(self, statement: str) -> list[t.Any]:
        return self.connection.execute(statement.encode()).fetchall()

    def state(self) -> list[t.Any]:
        return self.rows(
            "SELECT n.nspname, c.relname, c.oid, c.relfilenode FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE n.nspname IN ('public', 'source', 'anonymous') ORDER BY 1, 2"
        )


@pytest.fixture
def job(tmp_path: Path, variables: dict[str, t.Any]) -> Iterator[Job]:
    settings = {name: variables[f"postgres_{name}"] for name in ("host", "port", "user", "password")}
    name = sql.Identifier(database := f"anonymise_{os.getpid()}_{time.monotonic_ns()}")
    with psycopg.connect(**settings, dbname="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        job = Job(tmp_path, settings, database)
        try:
            for statement in TABLE.split(";"):
                job.connection.execute(statement.encode())
            yield job
        finally:
            job.connection.close()
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_the_target_holds_what_the_policy_lets_through(job: Job) -> None:
    job.policy["columns"]["note"] = {"action": "text", "names": ["Ada"]}
    report = job.done()
    columns = job.rows(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'anonymous.people'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert columns == [
        ("age", "text"), ("postcode", "text"), ("hours", "numeric(6,2)"), ("since", "date"), ("customer", "text"), ("note", "text"),
        ("income", "text"),
    ]  # fmt: skip
    pseudonym = hmac.new(KEY, b"7", hashlib.sha256).hexdigest()
    wanted = "SELECT age, postcode, hours::text, since::text, note, income FROM anonymous.people WHERE customer = %s"
    row = job.connection.execute(wanted, [pseudonym]).fetchall()
    assert row == [("[0, 40)", "10", "1.75", "2026-01-08", "<PERSON>, mail <EMAIL_ADDRESS>", "high")]
    assert job.rows("SELECT count(*), count(customer), count(DISTINCT customer) FROM anonymous.people") == [
        (1202, 1200, 1200)
    ]
    assert {name: report[name] for name in ("rows", "k", "minimum_k", "groups", "too_small", "replaced", "left_out")} == {
        "rows": 1202, "k": 300, "minimum_k": 5, "groups": 3, "too_small": [], "replaced": True, "left_out": ["passport", "secret"],
    }  # fmt: skip
    assert report["columns"] == {
        "age": "generalise", "postcode": "generalise", "hours": "keep", "since": "keep", "customer": "hash", "note": "text", "income": "target",
    }  # fmt: skip
    text = json.dumps(job.rows("SELECT p::text FROM anonymous.people p"))
    assert not re.search("Ada|@edge1|unnamed|X[0-9]", text)


def test_k_is_that_of_the_declared_columns_and_missing_values_are_alike(job: Job) -> None:
    job.definition |= {"quasi_identifiers": ["age", "income"], "minimum_k": 2}
    report = job.done()
    expected = job.rows("SELECT count(*) FROM anonymous.people GROUP BY age, income")
    assert report["k"] == min(size for (size,) in expected) == 2
    assert report["groups"] == len(expected)


def test_below_minimum_k_the_target_stays_and_values_are_not_told(job: Job) -> None:
    job.done()
    job.connection.execute("UPDATE source.people SET postcode = '99 HIDDEN' WHERE customer IN (4, 5, 6)")
    job.definition["quasi_identifiers"] = ["age", "postcode"]
    before = job.state()
    done = job.run()
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert (report["replaced"], report["k"], report["too_small"]) == (False, 3, [{"size": 3, "groups": 1, "rows": 3}])
    assert "anonymous.people was left as it was: 3 of 1202 rows are in groups of fewer than 5" in done.stderr
    assert "generalise these columns further or drop one" in done.stderr
    assert "99" not in done.stdout + done.stderr
    assert job.state() == before


def test_a_rerun_replaces_and_keeps_who_may_read(job: Job) -> None:
    job.done()
    role = f"reader_{os.getpid()}"
    job.connection.execute(f'CREATE ROLE "{role}"'.encode())
    try:
        job.connection.execute(
            f'GRANT SELECT ON anonymous.people TO "{role}"; GRANT SELECT ON anonymous.people TO PUBLIC'.encode()
        )
        job.connection.execute("DELETE FROM source.people WHERE age > 60")
        before = job.rows("SELECT relacl::text[] FROM pg_class WHERE oid = 'anonymous.people'::regclass")
        assert job.done()["rows"] < 1202
        after = job.rows("SELECT relacl::text[] FROM pg_class WHERE oid = 'anonymous.people'::regclass")
        assert sorted(after[0][0]) == sorted(before[0][0])
        assert role in str(after)
        assert [name for _, name, *_ in job.state()] == ["people", "people"], "nothing is left beside it"
    finally:
        job.connection.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"'.encode())


def test_readers_see_the_old_table_or_the_new_one(job: Job) -> None:
    job.done()
    argv, env = job.command()
    job.connection.execute("DELETE FROM source.people WHERE customer > 600")
    seen = set()
    with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            seen.add(job.rows("SELECT count(*) FROM anonymous.people")[0][0])
    assert running.returncode == 0
    seen.add(job.rows("SELECT count(*) FROM anonymous.people")[0][0])
    assert seen == {1202, 602}


def test_a_killed_run_leaves_nothing(job: Job) -> None:
    job.done()
    job.connection.execute("INSERT INTO source.people SELECT p.* FROM source.people p, generate_series(1, 200)")
    before = job.state()
    argv, env = job.command()
    with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'"
        while not job.rows(statement)[0][0]:
            assert running.poll() is None
        running.kill()
    deadline = time.monotonic() + 20
    while job.rows("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")[0][0] > 1:
        assert time.monotonic() < deadline
    assert job.state() == before


def test_two_runs_at_once(job: Job) -> None:
    with psycopg.connect(**job.settings) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('anonymous.people', 0))")
        assert "another run is writing anonymous.people; wait for it" in job.refused(1)
    job.done()


def test_names_are_names_whatever_is_in_them(job: Job) -> None:
    name = 'people"; DROP TABLE source.people; --'
    column = 'ho"urs); DROP TABLE source.people; --'
    job.connection.execute(
        sql.SQL("ALTER TABLE source.people RENAME COLUMN hours TO {}").format(sql.Identifier(column))
    )
    job.policy["columns"][column] = job.policy["columns"].pop("hours")
    job.policy["columns"]["postcode"] = "keep"
    job.connection.execute("UPDATE source.people SET postcode = '''); DROP TABLE source.people; --'")
    job.definition["target"]["table"] = name
    job.definition["quasi_identifiers"] = [column, "postcode"]
    job.definition["minimum_k"] = 2
    job.connection.execute(sql.SQL("UPDATE source.people SET {} = 1").format(sql.Identifier(column)))
    job.done()
    found = job.connection.execute(
        sql.SQL("SELECT count(*), min(postcode) FROM {}").format(sql.Identifier("anonymous", name))
    ).fetchall()
    assert found == [(1202, "'); DROP TABLE source.people; --")]
    assert job.rows("SELECT count(*) FROM source.people") == [(1202,)]


def test_a_view_is_a_source_too(job: Job) -> None:
    job.connection.execute("CREATE VIEW source.some AS SELECT * FROM source.people WHERE age < 50")
    job.definition["source"]["table"] = "some"
    assert job.done()["source"] == "source.some"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"model": "other"}, "model other has no policy; there are income", id="model"),
        pytest.param({"source": {"table": "absent"}}, "the source public.absent does not exist", id="source"),
        pytest.param(
            {"target": {"schema": "absent", "table": "x"}}, "the schema absent does not exist; create it", id="schema"
        ),
        pytest.param(
            {"target": {"schema": "source", "table": "people"}}, "source.people is the source itself", id="itself"
        ),
        pytest.param(
            {"quasi_identifiers": ["passport"]}, "quasi_identifiers: passport is no column of the result", id="dropped"
        ),
        pytest.param({"quasi_identifiers": []}, "quasi_identifiers: List should have at least 1 item", id="no columns"),
        pytest.param({"minimum_k": 1}, "minimum_k: Input should be greater than or equal to 2", id="k of one"),
        pytest.param({"surprise": 1}, "surprise: Extra inputs are not permitted", id="unknown field"),
        pytest.param(
            {"target": {"table": "x" * 64}}, "target.table: String should have at most 63 characters", id="long name"
        ),
    ],
)
def test_a_definition_that_does_not_fit(job: Job, change: dict[str, t.Any], message: str) -> None:
    job.definition |= change
    assert message in job.refused()


def test_a_table_of_somebody_else_is_left_alone(job: Job) -> None:
    job.connection.execute("CREATE TABLE anonymous.people (mine text)")
    message = "anonymous.people exists and was not made by this job; drop it yourself or give the target another name"
    assert message in job.refused()
    job.connection.execute("DROP TABLE anonymous.people")
    job.connection.execute("CREATE VIEW anonymous.people AS SELECT 1")
    assert message in job.refused()


def test_a_column_that_the_source_lacks(job: Job) -> None:
    job.connection.execute("ALTER TABLE source.people DROP COLUMN hours")
    assert "source.people has no column hours, which the policy of model income names" in job.refused()


def test_rows_that_do_not_fit_are_told_by_number_and_column(job: Job) -> None:
    job.policy["columns"]["age"] = {"action": "generalise", "date": "month"}
    assert (
        "row 1, column age: this rule is for text, and this is a number; the target was left as it was" in job.refused()
    )
    job.policy = json.loads(json.dumps(POLICY))
    job.connection.execute("UPDATE source.people SET hours = 'NaN' WHERE customer = 700")
    assert re.search(r"row \d+, column hours: not a finite number", job.refused())


def test_an_empty_source(job: Job) -> None:
    job.connection.execute("DELETE FROM source.people")
    assert "source.people has no rows; the target was left as it was" in job.refused()


def test_data_that_cannot_be_read_is_not_repeated(job: Job) -> None:
    job.connection.execute("ALTER TABLE source.people ALTER since TYPE timestamp USING 'infinity'")
    told = job.refused()
    assert told.startswith("anonymise: PostgreSQL: DataError")
    assert "infinity" not in told


def test_secrets_and_servers(job: Job) -> None:
    uri, password = job.uri, job.settings["password"]
    job.key = KEY[:31]
    assert "the site key has 31 bytes; at least 32" in job.refused()
    job.key = KEY
    job.uri = uri.replace(password, "a-wrong-password")
    told = job.refused(1)
    assert "password authentication failed" in told
    assert "a-wrong-password" not in told
    job.uri = "host=127.0.0.1 password=a secret that is cut"
    told = job.refused()
    assert "GATEWAY_ANONYMISE_SOURCE_FILE holds no postgresql:// URI" in told
    assert "secret" not in told
    job.uri = re.sub(r":\d+/", ":1/", uri)
    assert "Connection refused" in job.refused(1)
    job.uri = uri
    job.env = {"GATEWAY_SITE_KEY_FILE": "/absent"}
    assert "The secret in /absent cannot be read" in job.refused()
    job.env = {"GATEWAY_SITE_KEY_FILE": ""}
    assert "GATEWAY_SITE_KEY_FILE is not set; it names a file" in job.refused()


def test_a_role_that_may_only_read_the_one_and_write_the_other(job: Job) -> None:
    """The job needs no more than this; what it may not read stays where it is."""
    name = f"job_{os.getpid()}"
    job.connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'of this test'".encode())
    try:
        allowed = "customer, age, postcode, hours, since, income"
        for grant in (
            "USAGE ON SCHEMA source, anonymous", "CREATE ON SCHEMA anonymous", f"SELECT ({allowed}) ON source.people",
        ):  # fmt: skip
            job.connection.execute(f"GRANT {grant} TO {name}".encode())
        job.uri = f"postgresql://{name}:of%20this%20test@{job.settings['host']}:{job.settings['port']}/{job.settings['dbname']}"
        assert job.done()["rows"] == 1202
        job.connection.execute(f"REVOKE SELECT (hours) ON source.people FROM {name}".encode())  # noqa: S608 - no query
        assert "permission denied for table people" in job.refused()
    finally:
        job.connection.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}".encode())
