from __future__ import annotations

import pytest

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_config import (
    AGENT_KEYS,
    SERVER_KEYS,
    effective_config,
)

SITE = {"disable": ["traefik"], "node-label": ["a=b"], "kubelet-arg+": ["v=2"], "tls-san": ["edge"]}


def test_a_server_gets_all() -> None:
    assert effective_config(SITE, "server") == SITE


def test_an_agent_gets_what_it_would_start_with() -> None:
    assert effective_config(SITE, "agent") == {"node-label": ["a=b"], "kubelet-arg+": ["v=2"]}


@pytest.mark.parametrize("role", ["server", "agent"])
def test_a_misspelt_key_is_refused_with_the_one_that_was_meant(role: str) -> None:
    with pytest.raises(AirgapError, match=r"no config\.yaml key 'tls-sans' \(did you mean 'tls-san'\?\)"):
        effective_config({"tls-sans": ["x"]}, role)


def test_a_key_of_a_newer_release_may_be_named() -> None:
    assert effective_config({"new-thing": 1}, "agent", ["new-thing"]) == {"new-thing": 1}


def test_the_lists_agree_with_each_other() -> None:
    assert AGENT_KEYS < SERVER_KEYS
