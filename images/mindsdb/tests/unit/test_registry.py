"""Against MLflow's own store, in a file."""

from __future__ import annotations

import fcntl
import gc
import os
import re
import socket
import tempfile
import time
import typing as t
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from engine_tables import mixed, progression
from mlflow.models import infer_signature
from mlflow.pyfunc.model import PythonModel
from mlflow.tracking import MlflowClient

from tabular_handler import registry
from tabular_handler.errors import RegistryError
from tabular_handler.options import Options
from tabular_handler.predicting import ask_pipeline
from tabular_handler.training import Prepared, Trained, prepare, train

# MLflow's own, while it makes its database
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("mlflow")
    before = dict(os.environ)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    for name in (registry.EXPERIMENT, "elsewhere"):
        MlflowClient().create_experiment(name, artifact_location=f"file://{folder}/artifacts")
    yield folder
    os.environ.clear()
    os.environ.update(before)


def learned(frame: pd.DataFrame, target: str, options: Options) -> tuple[Prepared, Trained]:
    prepared = prepare(frame, target, options)
    return prepared, train(prepared.columns, prepared.problem, prepared.features, prepared.labels, options)


@pytest.mark.parametrize("algorithm", ["linear", "boosting"])
@pytest.mark.parametrize(
    ("frame", "target"),
    [(mixed(), "answer"), (mixed().assign(answer=lambda f: f["answer"] > 1), "answer")],
    ids=["regression", "classification"],
)
def test_what_comes_back_gives_exactly_equal_numbers(frame: pd.DataFrame, target: str, algorithm: str) -> None:
    options = Options(algorithm=algorithm)
    prepared, trained = learned(frame, target, options)
    version = registry.record(prepared, trained, options, "equal", {})
    loaded = registry.load_pipeline(version)
    ask = "predict_proba" if prepared.problem == "classification" else "predict"
    assert loaded is not trained.pipeline
    assert np.array_equal(getattr(loaded, ask)(prepared.features), getattr(trained.pipeline, ask)(prepared.features))
    assert registry.load_pipeline(version) is loaded


def test_what_is_written_down(store: Path) -> None:
    options = Options(seed=11, algorithm="linear")
    prepared, trained = learned(progression(), "progression", options)
    tags = {"mindsdb_model": "m", "mindsdb_version": "3"}
    version = registry.record(prepared, trained, options, "written", tags)
    client = MlflowClient()
    run = client.get_run(version.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "mindsdb"
    assert run.info.status == "FINISHED"
    assert run.data.metrics == pytest.approx(trained.metrics)
    assert run.data.params == {
        "seed": "11", "time_limit": "600", "max_categories": "200", "algorithm": "linear", "algorithm_asked": "linear",
        "columns": "10", "problem": "classification", "rows": "442", "target": "progression",
    }  # fmt: skip
    expected = {**tags, "data_digest": prepared.digest, "problem": "classification", "target": "progression"}
    assert expected.items() <= run.data.tags.items()
    assert run.inputs is not None
    (used,) = run.inputs.dataset_inputs
    assert prepared.digest.endswith(used.dataset.digest + prepared.digest[-32:])
    registered = client.get_model_version("written", version.version)
    assert registered.run_id == version.run_id
    assert registered.tags == expected


def test_no_value_of_a_row_is_in_the_store(store: Path) -> None:
    options = Options(algorithm="linear")
    frame = mixed().assign(
        number=lambda f: f["number"].map(lambda value: None if value is None else value + 98765.4321)
    )
    prepared, trained = learned(frame, "answer", options)
    version = registry.record(prepared, trained, options, "private", {})
    folder = mlflow.artifacts.download_artifacts(f"models:/private/{version.version}", dst_path=str(store / "private"))
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    assert {"MLmodel", "model.skops", "input_example.json", "requirements.txt"} <= {path.name for path in files}
    for path in files:
        if path.suffix != ".skops":
            # with its point: the digits alone stand in a random identifier now and then
            assert not re.search(r"9876\d\.\d", path.read_text()), path.name


def test_any_client_loads_it() -> None:
    options = Options(algorithm="boosting")
    prepared, trained = learned(mixed(), "answer", options)
    version = registry.record(prepared, trained, options, "open", {})
    model = mlflow.pyfunc.load_model(f"models:/open/{version.version}")
    features = prepared.features.dropna()
    assert np.array_equal(model.predict(features), trained.pipeline.predict(features))


def test_each_training_is_a_version_and_the_old_one_stays() -> None:
    versions = []
    for seed in (1, 2):
        options = Options(algorithm="boosting", seed=seed)
        frame = mixed().sample(100, random_state=seed)
        prepared, trained = learned(frame, "answer", options)
        versions.append((registry.record(prepared, trained, options, "again", {}), trained, prepared))
    assert [version.version for version, _, _ in versions] == ["1", "2"]
    registry.load_pipeline.cache_clear()
    for version, trained, prepared in versions:
        answers = ask_pipeline(registry.load_pipeline(version), prepared.columns, "answer", mixed(), classes=False)
        expected = ask_pipeline(trained.pipeline, prepared.columns, "answer", mixed(), classes=False)
        assert answers.equals(expected)


def test_another_model_under_the_same_number_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(algorithm="linear")
    prepared, trained = learned(mixed(), "answer", options)
    version = registry.record(prepared, trained, options, "changed", {})
    monkeypatch.setattr(skops.io, "loads", lambda *_, **__: pytest.fail("it was read before its digest was compared"))
    with pytest.raises(RegistryError, match="Version 1 of 'changed' in MLflow is not the one that was trained here"):
        registry.load_pipeline(replace(version, sha256="0" * 64))


def test_code_in_a_model_is_not_run() -> None:
    class Trap:
        def __reduce__(self) -> tuple[t.Any, ...]:
            return os.system, ("true",)

    with pytest.raises(TypeError, match="Untrusted types found"):
        skops.io.loads(skops.io.dumps(Trap()), trusted=registry.TRUSTED)


class Twice(PythonModel):
    def predict(self, context: t.Any, model_input: pd.DataFrame, params: t.Any = None) -> t.Any:
        return model_input["x"] * 2


def experiment(name: str) -> str:
    found = MlflowClient().get_experiment_by_name(name)
    assert found is not None
    return str(found.experiment_id)


def publish(name: str, model: t.Any, example: pd.DataFrame) -> None:
    with mlflow.start_run(experiment_id=experiment("elsewhere")):
        mlflow.pyfunc.log_model(
            name="model",
            python_model=model,
            signature=infer_signature(example, example["x"]),
            input_example=example,
            registered_model_name=name,
            pip_requirements=["mlflow"],
        )


@pytest.fixture(scope="module")
def twice() -> str:
    publish("twice", Twice(), pd.DataFrame({"x": [1.5]}))
    MlflowClient().set_registered_model_alias("twice", "champion", "1")
    return "twice"


@pytest.mark.parametrize("uri", ["models:/twice@champion", "models:/twice/1"])
def test_a_pyfunc_of_the_registry(twice: str, uri: str) -> None:
    version = registry.resolve(uri)
    assert (version.name, version.version) == ("twice", "1")
    served = registry.load_pyfunc(version)
    assert [(column.name, column.type) for column in served.columns] == [("x", "numeric")]
    assert served.model.predict(pd.DataFrame({"x": [4.0]})).tolist() == [8.0]


def test_processes_share_one_copy_of_a_pyfunc(twice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    version = registry.resolve("models:/twice/1")
    for _ in range(2):
        registry.load_pyfunc.cache_clear()  # as a new process begins
        assert registry.load_pyfunc(version).model.predict(pd.DataFrame({"x": [1.0]})).tolist() == [2.0]
    (home,) = tmp_path.iterdir()
    assert home.stat().st_mode & 0o777 == 0o700
    (copy,) = home.iterdir()
    assert (copy / "MLmodel").exists()
    assert is_held(copy)
    registry.load_pyfunc.cache_clear()
    gc.collect()
    assert not is_held(copy)


def is_held(folder: Path) -> bool:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def test_a_copy_that_somebody_else_laid_out(twice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"tabular-models-{os.getuid()}").symlink_to(tmp_path)
    registry.load_pyfunc.cache_clear()
    with pytest.raises(RegistryError, match="belongs to somebody else"):
        registry.load_pyfunc(registry.resolve("models:/twice/1"))


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("models:/nobody@champion", "Looking up models:/nobody@champion failed in MLflow:"),
        ("models:/twice@nobody", "alias nobody not found"),
        ("models:/twice/99", "version=99"),
        ("models:/twice", "write models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/twice/latest", "is not a model of MLflow's registry"),
        ("runs:/1/model", "is not a model of MLflow's registry"),
        ("/etc/passwd", "is not a model of MLflow's registry"),
    ],
)
def test_uris_that_lead_nowhere(twice: str, uri: str, text: str) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.resolve(uri)
    assert text in str(caught.value)


def test_a_version_that_is_gone() -> None:
    with pytest.raises(RegistryError, match="Reading version 7 of 'gone' failed in MLflow"):
        registry.load_pipeline(registry.Version("gone", "7", "", ""))


def test_a_model_that_needs_a_package(twice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(uri: str) -> t.Any:
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning")

    monkeypatch.setattr(mlflow.pyfunc, "load_model", load)
    registry.load_pyfunc.cache_clear()
    with pytest.raises(RegistryError, match="models:/twice/1 needs the Python package 'lightning'"):
        registry.load_pyfunc(registry.resolve("models:/twice/1"))


def test_mlflow_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: whoever connects is refused
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{taken.getsockname()[1]}")
        started = time.monotonic()
        for ask in (registry.check, lambda: registry.resolve("models:/a/1"), lambda: registry.load_pipeline(GONE)):
            with pytest.raises(RegistryError, match=r"MLflow does not answer \(ConnectionError"):
                t.cast("t.Callable[[], t.Any]", ask)()
        assert time.monotonic() - started < registry.PROBE_SECONDS * 3


GONE = registry.Version("down", "1", "", "")


def test_mlflow_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI is not set"):
        registry.check()


def test_a_deleted_experiment() -> None:
    client, ident = MlflowClient(), experiment(registry.EXPERIMENT)
    client.delete_experiment(ident)
    try:
        options = Options(algorithm="linear")
        prepared, trained = learned(mixed(), "answer", options)
        with pytest.raises(RegistryError, match="experiment 'mindsdb' is deleted: restore it"):
            registry.record(prepared, trained, options, "late", {})
    finally:
        client.restore_experiment(ident)
