# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter k3s_config; documented beside this file."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.airgap.mlops.plugins.module_utils._errors import AirgapError
from ansible_collections.airgap.mlops.plugins.module_utils._k3s_config import effective_config


def k3s_config(config: t.Mapping[str, t.Any], role: str, extra_keys: t.Sequence[str] = ()) -> dict[str, t.Any]:
    try:
        return effective_config(config, role, extra_keys)
    except AirgapError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"k3s_config": k3s_config}
