# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""Ask an image what it holds, by commands run in it. The answers are cached apart from the image. I/O only."""

from __future__ import annotations

from ansible_collections.airgap.mlops.plugins.module_utils._bundle_cache import host_lock
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_host import Host
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_recipe import Recipe
from ansible_collections.airgap.mlops.plugins.module_utils._bundle_store import Facts, ImageStore, StoredImage
from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError

__all__ = ("ask_image", "find_facts")


def find_facts(store: ImageStore, host: Host, image: StoredImage, recipe: Recipe, *, ask: bool) -> Facts | None:
    """The image's answers to its recipe's questions. Without leave to ask: None where it was never asked."""
    facts = store.facts(image, recipe)
    if facts is not None or not ask:
        return facts
    host.need("buildah", "skopeo")
    tag = f"localhost/airgap-mlops/{recipe.name}:facts-{image.digest.partition(':')[2][:12]}"
    with host_lock("images"):
        store.load(image, tag, host)
        try:
            facts = ask_image(host, tag, recipe)
        finally:
            host.run(["buildah", "rmi", tag])
    store.keep_facts(image, recipe, facts)
    return facts


def ask_image(host: Host, tag: str, recipe: Recipe) -> Facts:
    """The answers of an image that lies in the container storage."""
    facts: Facts = {}
    if not recipe.facts and not recipe.lists:
        return facts
    container = host.run(["buildah", "from", "--pull-never", tag])
    try:
        for name, command in {**recipe.facts, **recipe.lists}.items():
            lines = host.run(["buildah", "run", "--isolation", "chroot", container, "--", *command]).split("\n")
            expected = "one line" if name in recipe.facts else "lines"
            if not all(lines) or (name in recipe.facts and len(lines) != 1):
                raise AirgapError(
                    f"the image {recipe.name} answered {lines} when asked for its {name} by {list(command)}: "
                    f"expected {expected}"
                )
            facts[name] = lines[0] if name in recipe.facts else lines
    finally:
        host.run(["buildah", "rm", container])
    return facts
