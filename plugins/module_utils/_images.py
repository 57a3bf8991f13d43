# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Which images a node must take in, mark and let go. Pure: no I/O, no module object, no clock.

Everything is read from containerd's image records; nothing is remembered elsewhere. Two labels say what is ours:

airgap.mlops/release     the version of the bundle that wanted the image last
airgap.mlops/generation  a number that grows with every change of release on this node, so that 'the one before' is
                         known without clocks and without ordering versions (a rollback is a change like any other)
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

__all__ = (
    "GENERATION_LABEL",
    "PIN_LABEL",
    "PIN_VALUE",
    "RELEASE_LABEL",
    "ImagePlan",
    "ImageRecord",
    "WantedImage",
    "plan_images",
)

# The kubelet's garbage collection skips images with this label. The other pin, io.cattle.k3s.pinned, is k3s' own: it
# strips both from every image that bears it at each start, so it must never be set by hand.
PIN_LABEL = "io.cri-containerd.pinned"
PIN_VALUE = "pinned"
RELEASE_LABEL = "airgap.mlops/release"
GENERATION_LABEL = "airgap.mlops/generation"


@dataclass(frozen=True)
class WantedImage:
    """An image that the bundle holds: the reference pods use, and the digest of its manifest."""

    reference: str
    digest: str


@dataclass(frozen=True)
class ImageRecord:
    """An image record of containerd. `ready` means that every blob is there and the layers are unpacked."""

    name: str
    digest: str
    labels: t.Mapping[str, str] = field(default_factory=dict)
    ready: bool = True

    @property
    def ours(self) -> bool:
        return RELEASE_LABEL in self.labels

    @property
    def generation(self) -> int:
        text = self.labels.get(GENERATION_LABEL, "")
        return int(text) if text.isdigit() else 0

    def describe(self) -> str:
        release = self.labels.get(RELEASE_LABEL)
        marks = [] if release is None else [f"release {release}"]
        marks += ["pinned"] if self.labels.get(PIN_LABEL) == PIN_VALUE else []
        marks += [] if self.ready else ["incomplete"]
        return f"{self.digest}{''.join(f', {mark}' for mark in marks)}"


@dataclass(frozen=True)
class ImagePlan:
    """What to do, in this order: import, then label, then remove."""

    imports: tuple[WantedImage, ...]
    relabels: tuple[str, ...]
    removals: tuple[str, ...]
    labels: t.Mapping[str, str]
    before: t.Mapping[str, str]
    after: t.Mapping[str, str]

    @property
    def changed(self) -> bool:
        return bool(self.imports or self.relabels or self.removals)

    @property
    def actions(self) -> list[str]:
        return [
            *(f"import {image.reference} ({image.digest})" for image in self.imports),
            *(f"label {name}" for name in self.relabels),
            *(f"remove {name}" for name in self.removals),
        ]

    @property
    def diff(self) -> dict[str, str]:
        return {
            "before_header": "images",
            "after_header": "images",
            "before": _lines(self.before),
            "after": _lines(self.after),
        }


def _lines(images: t.Mapping[str, str]) -> str:
    return "".join(f"{name}: {text}\n" for name, text in sorted(images.items()))


def _target_generation(references: t.Container[str], release: str, present: t.Iterable[ImageRecord]) -> int:
    """The number that all wanted images shall bear. The newest one on the node goes on if only this release bears it:
    then the work is done, or a run that was cut off is being finished."""
    ours = [record for record in present if record.ours]
    newest = max((record.generation for record in ours), default=0)
    bearers = [record for record in ours if record.generation == newest]
    if bearers and all(record.name in references and record.labels[RELEASE_LABEL] == release for record in bearers):
        return newest
    return newest + 1


def _superseded(
    references: t.Container[str], present: t.Iterable[ImageRecord], keep_releases: int
) -> list[ImageRecord]:
    """Records that older bundles of ours brought, without those of the `keep_releases` newest changes of release."""
    old = [record for record in present if record.ours and record.name not in references]
    kept = sorted({record.generation for record in old}, reverse=True)[:keep_releases]
    return [record for record in old if record.generation not in kept]


def _twins(removed: t.Sequence[ImageRecord], present: t.Sequence[ImageRecord]) -> list[str]:
    """The nameless records (sha256:...) that CRI makes beside an image, when no name is left for their content: they
    would keep it on disk for ever."""
    gone = {record.name for record in removed}
    still_named = {r.digest for r in present if not r.name.startswith("sha256:") and r.name not in gone}
    orphaned = {record.digest for record in removed} - still_named
    return [r.name for r in present if r.name.startswith("sha256:") and r.digest in orphaned]


def plan_images(
    *,
    wanted: t.Iterable[WantedImage],
    present: t.Iterable[ImageRecord],
    release: str,
    prune: bool = True,
    keep_releases: int = 1,
    in_use: t.Container[str] = (),
) -> ImagePlan:
    """Compare what the bundle holds with what containerd has. `in_use` holds the digests of images that containers run
    from: those are never removed."""
    wanted = sorted(wanted, key=lambda image: image.reference)
    records = list(present)
    by_name = {record.name: record for record in records}
    references = {image.reference for image in wanted}
    labels = {
        PIN_LABEL: PIN_VALUE,
        RELEASE_LABEL: release,
        GENERATION_LABEL: str(_target_generation(references, release, records)),
    }
    imports: list[WantedImage] = []
    relabels: list[str] = []
    for image in wanted:
        record = by_name.get(image.reference)
        if record is None or record.digest != image.digest or not record.ready:
            imports.append(image)
        elif any(record.labels.get(key) != value for key, value in labels.items()):
            relabels.append(image.reference)
    removed = [r for r in _superseded(references, records, keep_releases) if r.digest not in in_use] if prune else []
    removals = [record.name for record in removed] + _twins(removed, records)

    before = {r.name: r.describe() for r in records if r.ours or r.name in references}
    after = {name: text for name, text in before.items() if name not in removals}
    after.update({i.reference: ImageRecord(i.reference, i.digest, labels).describe() for i in wanted})
    return ImagePlan(tuple(imports), tuple(relabels), tuple(sorted(removals)), labels, before, after)
