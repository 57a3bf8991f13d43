"""`gateway serve | audit | anonymise`: the service, the audit's job and the job that anonymises a table."""

from __future__ import annotations

import importlib
import logging
import os
import sys

__all__ = ("main",)

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
COMMANDS = {
    "serve": ("gateway.server", "answer predictions over HTTP"),
    "audit": ("gateway.audit.job", "measure and judge bias, write the report to MLflow"),
    "anonymise": ("gateway.tables", "copy a table into an anonymised one"),
}


def main() -> int:
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if name not in COMMANDS:
        lines = "".join(f"  {command:10} {text}\n" for command, (_, text) in COMMANDS.items())
        sys.stderr.write(f"usage: gateway COMMAND\n{lines}")
        return 2
    logging.basicConfig(level=os.environ.get("GATEWAY_LOG_LEVEL", "INFO"), format=FORMAT)
    # each command imports its own libraries alone: the service has no room for those of the audit
    return int(importlib.import_module(COMMANDS[name][0]).main(arguments))


if __name__ == "__main__":
    sys.exit(main())
