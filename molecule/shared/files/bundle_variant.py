"""Make a bundle that differs from a good one in one way: bundle_variant.py GOOD VARIANT [--set PATH=VALUE] [--flip FILE].

Everything else is hard links. --set changes the manifest (a dotted path), --flip the last byte of a file; FILE is a glob.
PYTHONPATH has to hold the collection.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import typing as t

import yaml

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_manifest import render_manifest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("good", type=pathlib.Path)
    parser.add_argument("variant", type=pathlib.Path)
    parser.add_argument("--set", default="")
    parser.add_argument("--flip", default="")
    args = parser.parse_args()
    shutil.rmtree(args.variant, ignore_errors=True)
    shutil.copytree(args.good, args.variant, copy_function=os.link)
    if args.set:
        path, value = args.set.split("=", 1)
        change(args.variant / "manifest.yml", path.split("."), yaml.safe_load(value))
    if args.flip:
        flip(next(path for path in sorted(args.variant.glob(args.flip)) if path.is_file()))


def change(manifest: pathlib.Path, path: list[str], value: t.Any) -> None:
    content = yaml.safe_load(manifest.read_text())
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    manifest.unlink()  # the link, not the good bundle's file
    manifest.write_text(render_manifest(content))


def flip(file: pathlib.Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.unlink()
    file.write_bytes(data)


if __name__ == "__main__":
    main()
