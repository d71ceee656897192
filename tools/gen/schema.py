# SPDX-License-Identifier: GPL-2.0-only
"""The JSON schema of what `synctl --json` prints (draft 2020-12)."""

import json

RESERVED = ["Microsoft Reserved", "Vendor Specific"]
CLASS_ENUMS = ["copy-state", "requested-copy-state", "sync-type", "sync-mode",
               "progress-status", "copy-type", "replica-type", "sync-state",
               "copy-priority", "copy-methodology"]
U64 = {"type": "integer", "minimum": 0, "maximum": (1 << 64) - 1}
U32 = {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1}
TIME = {"type": ["string", "null"],
        "pattern": r"^[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z$"}
DEVNO = {"type": ["string", "null"], "pattern": "^[0-9]+:[0-9]+$"}
TEXT = {"type": ["string", "null"]}


def nullable(kind):
    return {**kind, "type": [kind["type"], "null"]}


def closed(properties):
    """An object in which each property is always there, and no other."""
    return {"type": "object", "additionalProperties": False,
            "required": list(properties), "properties": properties}


def enum_property(spec, name):
    enum = spec.enums["copy-state" if name == "requested-copy-state" else name]
    values = [text for _, _, text, _ in enum.entries]
    return {"enum": values + (RESERVED if enum.is_class else ["reserved"]) + [None]}


def progress():
    return closed({
        "total_bytes": nullable(U64), "done_bytes": nullable(U64),
        "rate_bytes_per_second": nullable(U64),
        "limit_bytes_per_second": nullable(U64),
        "limited_by": TEXT, "started": TIME,
        "eta_seconds": nullable(U64), "eta_unknown_because": TEXT})


def leg():
    return closed({
        "role": {"enum": ["source", "replica", "metadata", "store"]},
        "path": TEXT, "devno": DEVNO, "errors": nullable(U64),
        "changed_regions": nullable(U64)})


def image():
    return {**closed({
        "name": {"type": "string"}, "store": {"type": "string"},
        "saved_bytes": nullable(U64), "alone_bytes": nullable(U64),
        "store_bytes": nullable(U64), "store_free_bytes": nullable(U64),
        "store_chunks": nullable(U32), "pause_ns": nullable(U64),
        "store_fill_bytes_per_second": nullable(U64),
        "store_full_seconds": nullable(U32)}),
        "type": ["object", "null"]}


def delta():
    return {**closed({
        "delta_bytes": nullable(U64), "delta_free_bytes": nullable(U64),
        "delta_regions": nullable(U32)}),
        "type": ["object", "null"]}


def counters():
    names = ["copy_read_bytes", "copy_written_bytes", "copy_skipped_bytes",
             "host_reads", "host_writes", "reads_from_replica",
             "metadata_writes", "activity_hits", "activity_misses"]
    return closed({**{n: nullable(U64) for n in names}, "copied_since": TIME})


def pair(spec):
    ops = [text for _, _, text, _ in spec.enums["operation"].entries]
    allowed = {"type": ["array", "null"], "items": {"enum": ops}}
    props = {
        "id": nullable(U32), "name": TEXT, "uuid": TEXT, "device": TEXT,
        "devno": DEVNO, "generation": nullable(U32),
        "health": {"enum": ["healthy", "degraded", "critical", "unknown"]},
        "reason": enum_property(spec, "reason"),
        "reason_code": nullable(U32), "reason_time": TIME,
        "allowed": allowed, "allowed_with_force": allowed,
        "sync_time": TIME, "sync_maintained": {"type": ["boolean", "null"]}}
    for name in CLASS_ENUMS:
        key = name.replace("-", "_")
        if name == "copy-type":
            props["percent_synced"] = {"type": ["integer", "null"],
                                       "minimum": 0, "maximum": 100}
        props[key] = enum_property(spec, name)
        props[key + "_code"] = nullable(U32)
    props["recovery_point_objective"] = {
        "type": ["array", "null"], "items": U32}
    props["size_bytes"] = nullable(U64)
    props["region_bytes"] = nullable(U64)
    props["regions"] = nullable(U64)
    props["replica_door_access"] = enum_property(spec, "door-access")
    props["hold"] = enum_property(spec, "hold")
    props["hold_max_seconds"] = nullable(U32)
    props["held_writes"] = nullable(U32)
    props["recovery"] = enum_property(spec, "recovery")
    props["progress"] = {"$ref": "#/$defs/progress"}
    props["counters"] = {"$ref": "#/$defs/counters"}
    props["legs"] = {"type": "array", "items": {"$ref": "#/$defs/leg"}}
    props["image"] = {"$ref": "#/$defs/image"}
    props["delta"] = {"$ref": "#/$defs/delta"}
    props["unknown_attributes"] = {"type": "array", "items": closed({
        "type": U32, "hex": {"type": "string", "pattern": "^([0-9a-f]{2})*$"}})}
    return closed(props)


def document(spec):
    name = {"type": "object", "additionalProperties": False,
            "required": ["name", "major", "minor"],
            "properties": {
                "name": {"enum": ["synctl.status", "synctl.show", "synctl.list",
                                  "synctl.wait", "synctl.watch", "synctl.history",
                                  "synctl.snapshot"]},
                "major": {"const": 1}, "minor": {"type": "integer", "minimum": 0}}}
    status = closed({
        "schema": name, "tool": {"type": "string"}, "module": TEXT,
        "abi": nullable(U32), "time": {**TIME, "type": "string"},
        "event_seq": nullable(U64), "consistent": {"type": "boolean"},
        "pairs": {"type": "array", "items": {"$ref": "#/$defs/pair"}}})
    event = {
        "type": "object", "additionalProperties": False,
        "required": ["schema", "time", "event_seq", "event"],
        "properties": {
            "schema": {**name, "properties": {**name["properties"],
                                              "name": {"const": "synctl.event"}}},
            "time": {**TIME, "type": "string"}, "event_seq": nullable(U64),
            "event": {"enum": ["exists", "ready", "create", "change", "delete",
                               "progress", "lost", "gone"]},
            "cause": enum_property(spec, "event-cause"),
            "operation": TEXT, "pairs_count": U32,
            "lost_from": U64, "lost_to": U64,
            "changes": {"type": "array", "items": closed({
                "field": {"type": "string"}, "old": {}, "new": {}})},
            "pair": {"$ref": "#/$defs/pair"}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:dm-sync:synctl-status:1",
        "title": "synctl --json, major 1",
        "description": "Each document of status, show, list, wait, watch, "
                       "history and snapshot, and each line of events. A field whose value "
                       "is not known or does not apply is null.",
        "oneOf": [{"$ref": "#/$defs/status"}, {"$ref": "#/$defs/event"}],
        "$defs": {"status": status, "event": event, "pair": pair(spec),
                  "progress": progress(), "counters": counters(), "leg": leg(),
                  "image": image(), "delta": delta()}}


def render(spec):
    return json.dumps(document(spec), indent=1) + "\n"


def c_string(text):
    """The schema, one C string literal for each of its lines."""
    lines = ["", "static const char synctl_schema_status[] ="]
    for line in text.splitlines():
        quoted = line.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'\t"{quoted}\\n"')
    lines[-1] += ";"
    return lines
