# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write small bundles whose images share a layer: make_bundle.py DIRECTORY RELEASE NAME=TEXT...

Each image is the shared layer (2 MiB of noise that a seed makes) and a layer with one file that holds TEXT. What lies in the
directory already (wheels, k3s) becomes part of the bundle. PYTHONPATH has to hold the collection.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import sys
import tarfile
from pathlib import Path

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import render_manifest

OCI = "application/vnd.oci.image"


def layer(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def make(directory: Path, release: str, images: dict[str, str]) -> None:
    blobs = directory / "oci/blobs/sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def put(data: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    shared = layer("shared", random.Random(1).randbytes(2 * 1024 * 1024))  # noqa: S311  noise that gzip cannot shrink
    index, listed = [], {}
    for name, text in images.items():
        layers = [shared, layer(name, text.encode())]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/none"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": put(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
            "layers": [put(gzip.compress(data, mtime=0), f"{OCI}.layer.v1.tar+gzip") for data in layers],
        }
        descriptor = put(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")
        digest = str(descriptor["digest"])
        reference = f"airgap.local/{name}:1-{digest.removeprefix('sha256:')[:12]}"
        index.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": reference}})
        listed[name] = {
            "reference": reference,
            "version": "1",
            "digest": digest,
            "size": sum(len(gzip.compress(data, mtime=0)) for data in layers),
            "unpacked": sum(map(len, layers)),
            "layers": [],
            "source": "archive",
        }
    (directory / "oci/oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "oci/index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": index}))
    for name in ("files/k3s", "files/k3s-airgap-images-amd64.tar"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).exists() or (directory / name).write_text("none\n")
    files = [
        {
            "path": str(p.relative_to(directory)),
            "sha256": hashlib.sha256(p.read_bytes()).hexdigest(),
            "size": p.stat().st_size,
        }
        for p in sorted(directory.rglob("*"))
        if p.is_file() and p.name != "manifest.yml"
    ]
    manifest_file = {
        "format": 1,
        "name": "airgap-mlops",
        "version": release,
        "arch": "amd64",
        "k3s": {
            "version": "v1.35.4+k3s1",
            "source": "path",
            "binary": "files/k3s",
            "images": "files/k3s-airgap-images-amd64.tar",
        },
        "images": listed,
        "mlflow": {"schema_head": "none"},
        "size": {"files": 0, "images": 0, "unpacked": 0},
        "files": files,
    }
    (directory / "manifest.yml").write_text(render_manifest(manifest_file))


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2], dict(argument.split("=", 1) for argument in sys.argv[3:]))
