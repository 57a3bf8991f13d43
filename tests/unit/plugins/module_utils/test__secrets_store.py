# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._secrets import ALPHABETS, KeySpec
from ansible_collections.airgap.mlops.plugins.module_utils._secrets_store import generate


@pytest.mark.parametrize("alphabet", sorted(ALPHABETS))
@pytest.mark.parametrize("length", [16, 32, 1024])
def test_generated_values_have_the_length_and_alphabet_that_were_asked_for(alphabet: str, length: int) -> None:
    first, second = (generate(KeySpec("k", length=length, alphabet=alphabet)) for _index in range(2))
    assert first != second
    assert len(first) == len(second) == length
    assert set(first + second) <= set(ALPHABETS[alphabet])
