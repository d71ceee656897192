#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Validate JSON on stdin, one document or one a line, against a schema."""

import json
import sys

import jsonschema


def documents(text):
    try:
        yield json.loads(text)
    except json.JSONDecodeError:
        for line in text.splitlines():
            yield json.loads(line)


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    count = 0
    for document in documents(sys.stdin.read()):
        count += 1
        kind = "event" if "event" in document else "status"
        part = {"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]}
        for error in jsonschema.Draft202012Validator(part).iter_errors(document):
            where = "/".join(str(p) for p in error.absolute_path)
            print(f"{where}: {error.message}"[:300])
            return 1
        if not validator.is_valid(document):
            print("the document fits more than one form")
            return 1
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
