# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""The module class for options that hold secrets inside a list or a mapping."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

__all__ = ("ReticentModule",)


class ReticentModule(AnsibleModule):
    """Keeps its arguments out of the host's journal.

    The base writes them there, a list as Python shows it. A secret with a line break, a backslash or a quote then reads
    otherwise than it is, and is not found and blanked.
    """

    def _log_invocation(self) -> None:
        self.log("Invoked")
