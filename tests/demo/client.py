"""A plain MLflow client: logs a run, files and models, and reads all of it back. Runs outside the node, with no setting but the URL.

    python -m tests.demo.client write http://ADDRESS:30001 STATE.json    log, and write down what was logged
    python -m tests.demo.client read http://ADDRESS:30001 STATE.json     read it back and compare

Every read downloads anew. A difference ends with exit code 1 and a sentence.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

__all__ = ("read", "write")

EXPERIMENT = "proof"
MODEL = "proof-weights"
_MIB = 1 << 20
_MODEL_CODE = str(Path(__file__).with_name("model.py"))


class Difference(Exception):
    """What was read is not what was written."""


def _random_file(path: Path, mebibytes: int, seed: int) -> str:
    """A file that does not compress; its digest."""
    source, digest = random.Random(seed), hashlib.sha256()  # noqa: S311 - test data
    with path.open("wb") as out:
        for _ in range(mebibytes):
            block = source.randbytes(_MIB)
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


def _forget_earlier(client: MlflowClient) -> None:
    """Delete what an earlier proof left, its files too, so that proofs do not fill the site's disk."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return
    for version in client.search_model_versions(f"name='{MODEL}'"):
        client.delete_model_version(MODEL, version.version)
    for model in client.search_logged_models([experiment.experiment_id]):
        get_artifact_repository(model.artifact_location).delete_artifacts()
        client.delete_logged_model(model.model_id)
    for run in client.search_runs([experiment.experiment_id]):
        get_artifact_repository(run.info.artifact_uri).delete_artifacts()
        client.delete_run(run.info.run_id)


def _say(text: str, started: float) -> None:
    print(f"{text} ({time.monotonic() - started:.1f} s)", flush=True)


def write(url: str, *, artifact_mib: int, model_mib: int) -> dict[str, t.Any]:
    """Log a run with parameters, metrics, a file and a registered model. Returns what `read` compares with."""
    mlflow.set_tracking_uri(url)
    _forget_earlier(MlflowClient())
    mlflow.set_experiment(EXPERIMENT)
    seed = time.time_ns()
    params = {"solver": "lbfgs", "depth": "7", "seed": str(seed)}
    metrics = [(step, 1.0 / (step + 1)) for step in range(5)]
    with tempfile.TemporaryDirectory(prefix="airgap-proof-") as scratch, mlflow.start_run() as run:
        mlflow.log_params(params)
        for step, value in metrics:
            mlflow.log_metric("loss", value, step=step)

        file = Path(scratch, "measurements.bin")
        file_digest = _random_file(file, artifact_mib, seed)
        started = time.monotonic()
        mlflow.log_artifact(str(file), artifact_path="data")
        _say(
            f"logged a run with {len(params)} parameters, {len(metrics)} metric values and a file of {artifact_mib} MiB",
            started,
        )

        weights = Path(scratch, "weights.bin")
        weights_digest = _random_file(weights, model_mib, seed + 1)
        started = time.monotonic()
        info = mlflow.pyfunc.log_model(
            name="model", python_model=_MODEL_CODE, artifacts={"weights": str(weights)},
            registered_model_name=MODEL, pip_requirements=[],
        )  # fmt: skip
        version = str(info.registered_model_version)
        _say(f"registered model {MODEL} version {version} of {model_mib} MiB", started)
    return {
        "run_id": run.info.run_id,
        "params": params,
        "metrics": metrics,
        "file": {"path": "data/measurements.bin", "digest": file_digest, "size": artifact_mib * _MIB},
        "model": {"name": MODEL, "version": version, "digest": weights_digest},
    }


def read(url: str, written: dict[str, t.Any]) -> None:
    """Read everything back. Raises Difference."""
    mlflow.set_tracking_uri(url)
    client = MlflowClient()
    _read_run(client, written)
    with tempfile.TemporaryDirectory(prefix="airgap-proof-") as scratch:
        _read_file(client, written, scratch)
        _read_model(client, written["model"], scratch)


def _compare(what: str, expected: object, found: object) -> None:
    if found != expected:
        raise Difference(f"{what}: wrote {expected!r}, read {found!r}")


def _read_run(client: MlflowClient, written: dict[str, t.Any]) -> None:
    started = time.monotonic()
    run = client.get_run(written["run_id"])
    _compare("parameters", written["params"], dict(run.data.params))
    history = client.get_metric_history(written["run_id"], "loss")
    _compare("metric values", [list(pair) for pair in written["metrics"]], sorted([m.step, m.value] for m in history))
    _say("read parameters and metrics", started)


def _read_file(client: MlflowClient, written: dict[str, t.Any], scratch: str) -> None:
    started = time.monotonic()
    expected = written["file"]
    listed = {item.path: item.file_size for item in client.list_artifacts(written["run_id"], "data")}
    _compare("size of the listed file", expected["size"], listed.get(expected["path"]))
    local = client.download_artifacts(written["run_id"], expected["path"], scratch)
    with open(local, "rb") as file:
        _compare(f"digest of {expected['path']}", expected["digest"], hashlib.file_digest(file, "sha256").hexdigest())
    _say(f"read the file of {expected['size'] // _MIB} MiB", started)


def _read_model(client: MlflowClient, expected: dict[str, t.Any], scratch: str) -> None:
    started = time.monotonic()
    version = client.get_model_version(expected["name"], expected["version"])
    _compare("status of the model version", "READY", version.status)
    model = mlflow.pyfunc.load_model(f"models:/{expected['name']}/{expected['version']}", dst_path=scratch)
    _compare("digest of the model's weights", [expected["digest"]], model.predict([{"x": 1.0}]))
    _say(f"loaded model {expected['name']} version {expected['version']} and asked it", started)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.demo.client", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("verb", choices=["write", "read"])
    parser.add_argument("url", help="MLflow's address, e.g. http://10.210.77.10:30001")
    parser.add_argument("state", type=Path, help="JSON file with what was written")
    parser.add_argument("--artifact-mib", type=int, default=50)
    parser.add_argument("--model-mib", type=int, default=200)
    args = parser.parse_args()
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    try:
        if args.verb == "write":
            written = write(args.url, artifact_mib=args.artifact_mib, model_mib=args.model_mib)
            args.state.write_text(json.dumps(written, indent=2))
        else:
            read(args.url, json.loads(args.state.read_text()))
    except Difference as exc:
        print(f"proof: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
