"""Artifact stores that MLflow's server keeps to itself: clients upload and download through the server alone.

MLflow's S3 and GCS repositories can sign addresses of the store, so the server offers them to clients, and has no switch
against it. At a site such an address is that of a Service: it means nothing outside the cluster, and a download from there
hangs. What cannot sign is never offered. MLflow finds this module by its entry points (its documented plugin interface), which
take the place of the schemes s3 and gs in the server's process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.gcs_artifact_repo import GCSArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

if TYPE_CHECKING:
    from mlflow.entities import FileInfo

__all__ = ("ProxiedGcs", "ProxiedS3")


class _Proxied(ArtifactRepository):
    """All that a repository must do, and none of the mixins by which MLflow tells that it can do more."""

    store: type[ArtifactRepository]

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._store = self.store(artifact_uri, tracking_uri=tracking_uri, registry_uri=registry_uri)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        self._store.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        self._store.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        return self._store.list_artifacts(path)

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        return str(self._store.download_artifacts(artifact_path, dst_path))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._store._download_file(remote_file_path, local_path)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        self._store.delete_artifacts(artifact_path)


class ProxiedS3(_Proxied):
    """s3://"""

    store = S3ArtifactRepository


class ProxiedGcs(_Proxied):
    """gs://"""

    store = GCSArtifactRepository
