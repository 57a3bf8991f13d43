# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a probe makes of an answer. The asking is tested in molecule/, on a real platform."""

from __future__ import annotations

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._probes_platform import check_revision


@pytest.mark.parametrize("known", [[], ["a", "b"]])
def test_the_needed_revision_or_any_where_none_is_given(known: list[str]) -> None:
    assert check_revision("b", {"database": "mlflowdb", "schema_revisions": known}) == "b"


@pytest.mark.parametrize(("revision", "what"), [("a", "behind"), ("z", "of another release of MLflow")])
def test_another_revision(revision: str, what: str) -> None:
    with pytest.raises(
        AirgapError, match=rf"database mlflowdb is {what} \(revision {revision}, needed b\)\. Role mlflow"
    ):
        check_revision(revision, {"database": "mlflowdb", "schema_revisions": ["a", "b"]})
