# SPDX-License-Identifier: GPL-2.0-only
"""Disks of a test machine: --disk SIZE[,key=value...] turned into QEMU options.

The layers of a disk, from the image up: the file (or an NBD server), faults
(blkdebug), a log of the writes (blklogwrites), a limit of speed (throttle),
the device. A fault lies below the log: the log shows what was asked for.
"""

import json
import os
import re

from vmlib.kernel import VmError

UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
LIMITS = {"iops": "iops-total", "iops-read": "iops-read", "iops-write": "iops-write",
          "bps": "bps-total", "bps-read": "bps-read", "bps-write": "bps-write"}
PLAIN = {"name", "cache", "lbs", "pbs", "fua", "file", "log", "discard", "nbd", "queues"}
CACHES = {"writeback": (False, False, True), "none": (True, False, True),
          "writethrough": (False, False, False), "directsync": (True, False, False),
          "unsafe": (False, True, True)}
ERRORS = {"read", "write", "write-zeroes", "discard", "flush"}


def size_bytes(text):
    """1048576, 64M, 2G... in bytes."""
    match = re.fullmatch(r"(\d+)([BKMGT]?)i?b?", text.strip(), re.IGNORECASE)
    if not match:
        raise VmError(f"bad size '{text}'")
    return int(match.group(1)) * UNITS[match.group(2).upper()]


def switch(key, value):
    """on or off as a truth value."""
    if value not in ("on", "off"):
        raise VmError(f"disk: {key}= wants on or off, not '{value}'")
    return value == "on"


class Disk:
    """One disk; the arguments of QEMU come from arguments()."""

    def __init__(self, spec, index):
        size, *words = spec.split(",")
        self.size = size_bytes(size)
        self.index, self.errors, self.limits = index, [], {}
        self.key = {"name": f"d{index}", "cache": "writeback", "fua": "off", "discard": "on"}
        for word in words:
            key, _, value = word.partition("=")
            self.take(key, value)
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,20}", self.key["name"]):
            raise VmError(f"disk name '{self.key['name']}': 1 to 20 letters, digits, _ . -")
        if self.key["cache"] not in CACHES:
            raise VmError(f"disk: cache= is one of {' '.join(CACHES)}")

    @property
    def name(self):
        """The serial number, and the name below /dev/vm."""
        return self.key["name"]

    @property
    def scsi(self):
        """virtio-blk cannot tell a guest of FUA, a SCSI disk can."""
        return switch("fua", self.key["fua"])

    def take(self, key, value):
        """One key=value of the description."""
        if not value:
            raise VmError(f"disk: '{key}' wants a value")
        if key in LIMITS:
            self.limits[LIMITS[key]] = size_bytes(value)
        elif key == "error":
            self.errors.append(self.fault(value))
        elif key in PLAIN:
            self.key[key] = value
        else:
            known = sorted(PLAIN | set(LIMITS) | {"error"})
            raise VmError(f"disk: unknown key '{key}'; there are: {' '.join(known)}")

    @staticmethod
    def fault(value):
        """TYPE[@SECTOR][:once] as a rule of blkdebug."""
        value, _, once = value.partition(":")
        kind, _, sector = value.partition("@")
        if kind not in ERRORS or once not in ("", "once") or (sector and not sector.isdigit()):
            raise VmError(f"disk: error= is TYPE[@SECTOR][:once], TYPE one of {' '.join(ERRORS)}")
        rule = {"event": "none", "iotype": kind, "errno": 5, "once": once == "once"}
        if sector:
            rule["sector"] = int(sector)
        return rule

    def make_image(self, directory):
        """The sparse image, or the existing one named by file=."""
        path = self.key.get("file") or os.path.join(directory, self.name + ".img")
        if not os.path.exists(path):
            if not self.size:
                raise VmError(f"disk {self.name}: no size, and no image {path}")
            with open(path, "wb") as file:
                file.truncate(self.size)
        return os.path.abspath(path)

    def bottom(self, directory):
        """The node next to the data."""
        direct, lossy, _ = CACHES[self.key["cache"]]
        cache = {"direct": direct, "no-flush": lossy}
        if "nbd" in self.key:
            return {"driver": "nbd", "export": self.name, "cache": cache, "discard": "unmap",
                    "server": {"type": "unix", "path": os.path.abspath(self.key["nbd"])}}
        return {"driver": "file", "filename": self.make_image(directory), "cache": cache,
                "discard": "unmap"}

    def chain(self, directory):
        """The nodes from the bottom up, each named and fed by the one before."""
        raw = {"driver": "raw", "file": self.bottom(directory), "discard": "unmap"}
        direct, lossy, _ = CACHES[self.key["cache"]]
        raw["cache"] = {"direct": direct, "no-flush": lossy}
        nodes = [raw]
        if self.errors:
            nodes.append({"driver": "blkdebug", "inject-error": self.errors})
        if "log" in self.key:
            path = os.path.abspath(self.key["log"])
            with open(path, "wb"):
                pass
            nodes.append({"driver": "blklogwrites", "log-sector-size": 512,
                          "log": {"driver": "file", "filename": path}})
        if self.limits:
            nodes.append({"driver": "throttle", "throttle-group": f"limit{self.index}"})
        for level, node in enumerate(nodes):
            node["node-name"] = f"disk{self.index}-{level}"
            node["discard"] = "unmap"
            if level:
                below = "image" if node["driver"] == "blkdebug" else "file"
                node[below] = f"disk{self.index}-{level - 1}"
        return nodes

    def device(self, node):
        """The device in front of the uppermost node."""
        lbs = int(self.key.get("lbs", 512))
        device = {"drive": node, "serial": self.name, "id": f"disk-{self.name}",
                  "logical_block_size": lbs,
                  "physical_block_size": int(self.key.get("pbs", lbs)),
                  "write-cache": "on" if CACHES[self.key["cache"]][2] else "off",
                  "werror": "report", "rerror": "report"}
        if self.scsi:
            device.update({"driver": "scsi-hd", "bus": "scsi.0", "dpofua": True})
        else:
            device.update({"driver": "virtio-blk-pci",
                           "discard": switch("discard", self.key["discard"]),
                           "write-zeroes": switch("discard", self.key["discard"])})
            if "queues" in self.key:
                device["num-queues"] = int(self.key["queues"])
        return device

    def arguments(self, directory):
        """The options of QEMU for this disk."""
        words = []
        if self.limits:
            words += ["-object", json.dumps({"qom-type": "throttle-group",
                                             "id": f"limit{self.index}", "limits": self.limits})]
        nodes = self.chain(directory)
        for node in nodes:
            words += ["-blockdev", json.dumps(node)]
        return words + ["-device", json.dumps(self.device(nodes[-1]["node-name"]))]


def parse(specs):
    """All disks of the command line, names checked."""
    disks = [Disk(spec, index) for index, spec in enumerate(specs)]
    names = [disk.name for disk in disks]
    if len(set(names)) != len(names):
        raise VmError("two disks of the same name")
    return disks
