# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter network_line_problems; documented beside this file."""

from __future__ import annotations

import typing as t

from ansible_collections.airgap.mlops.plugins.module_utils._network_lines import line_problems, network_problems


def network_line_problems(
    lines: t.Iterable[t.Mapping[str, t.Any]], clients: t.Iterable[str], pod_networks: t.Iterable[str]
) -> list[str]:
    return [*line_problems(lines), *network_problems(clients, pod_networks)]


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"network_line_problems": network_line_problems}
