# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# PRIVATE to this collection: may change in any release.
"""What is wrong with a host's variables, seen from the argument specs of the roles that will read them.

Ansible itself looks at a role's variables when the role starts, and never at names that no spec has. Both are too late on a
host that k3s was already installed on.
"""

from __future__ import annotations

import difflib
import typing as t
from pathlib import Path

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

__all__ = ("Options", "missing_options", "read_options", "unknown_names", "value_problems")

# Of every role that was asked for: its options by name.
Options = t.Mapping[str, t.Mapping[str, t.Any]]
_NESTED = {"list": "list", "dict": "mapping"}


def read_options(roles_dir: Path, roles: t.Iterable[str]) -> dict[str, dict[str, t.Any]]:
    """The options of each role's main entry point."""
    options = {}
    for role in roles:
        text = (roles_dir / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
        options[role] = yaml.safe_load(text)["argument_specs"]["main"].get("options") or {}
    return options


def unknown_names(options: Options, others: t.Collection[str], names: t.Iterable[str]) -> list[str]:
    """Variables that begin like those of a role, or like one of the others, and are none of them.

    Names that begin with an underscore are somebody's own.
    """
    known = {name for role in options.values() for name in role} | set(others)
    prefixes = tuple({f"{role}_" for role in options} | {f"{name.split('_')[0]}_" for name in others})
    problems = []
    for name in sorted(names):
        if name.startswith(prefixes) and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f" (did you mean {close[0]}?)" if close else ""
            problems.append(f"no role knows the variable {name}{hint}")
    return problems


def missing_options(options: Options, names: t.Collection[str]) -> list[str]:
    """Required options that nobody gave."""
    return [
        f"role {role} needs the variable {name}"
        for role, specs in options.items()
        for name, spec in specs.items()
        if spec.get("required") and name not in names
    ]


def value_problems(name: str, spec: t.Mapping[str, t.Any], value: t.Any) -> list[str]:
    """Why a role would refuse this value of its option. Of one that is secret only its name is told."""
    kind = _NESTED.get(spec.get("type", "str"))
    if kind and isinstance(value, str):
        # a module would take it apart, but templates and loops meet it as it is
        return [f"{name}: it is text, and has to be a {kind}; on the command line write it as -e '{{\"{name}\": …}}'"]
    result = ArgumentSpecValidator({name: dict(spec)}).validate({name: value}, validate_role_argument_spec=True)
    if result.error_messages and spec.get("no_log"):
        return [f"{name} has a value that is no {spec.get('type', 'str')}"]
    return [f"{name}: {message}" for message in result.error_messages]
