#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compare `synctl dump-commands` (stdin) with the manual page: every command
and every option must be described in it exactly once, and nothing else."""

import json
import re
import sys


def page_items(path):
    """Commands and options that the page has an item for."""
    commands, options = [], []
    with open(path, encoding="utf-8") as f:
        for line in f:
            match = re.match(r"\.It Cm (\S+)", line)
            if match:
                commands.append(match.group(1).replace("\\-", "-"))
            match = re.match(r"\.It (?:Fl \S+ , )?Fl \\?-\\?-?(\S+)", line)
            if match:
                options.append(match.group(1).replace("\\-", "-"))
    return commands, options


def main():
    table = json.load(sys.stdin)
    commands = [c["name"] for c in table["commands"] if not c["hidden"]]
    options = {o["name"]: o["letter"] for o in table["global_options"]}
    for command in table["commands"]:
        options.update({o["name"]: o["letter"] for o in command["options"]})
    have_commands, have_options = page_items(sys.argv[1])
    bad = 0
    for kind, want, have in (("command", commands, have_commands),
                             ("option", list(options), have_options)):
        for name in want:
            if have.count(name) != 1:
                print(f"{kind} {name}: {have.count(name)} times in the page")
                bad = 1
        for name in have:
            if name not in want:
                print(f"{kind} {name}: in the page, not in synctl")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
