#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
fail_nth.py NAME TABLE-LINE - device-mapper calls with the n-th allocation failing

Each call is made with its first allocation failing, then its second, and so on,
until it succeeds with none failing (/proc/self/fail-nth). Between the calls of a
program there are hundreds of allocations that are nobody's concern; so the calls
are made here, and not by dmsetup. Prints a line for each call; exit status 1 when
one succeeded wrongly or never succeeded.
"""
import errno
import fcntl
import os
import struct
import sys
import time

CREATE, REMOVE, SUSPEND, STATUS, LOAD, CLEAR, TABLE, MESSAGE = 3, 4, 6, 7, 9, 10, 12, 14
SUSPENDED = 2	 # flag: suspend, not resume
HEADER = struct.Struct("=3I II IiIII Q 128s 129s 7x")
LIMIT = 2000

nth = os.open("/proc/self/fail-nth", os.O_RDWR)
control = os.open("/dev/mapper/control", os.O_RDWR)


def call(command, name, flags=0, data=b"", targets=0):
    """One ioctl: 0 or an errno."""
    buf = bytearray(16384)
    HEADER.pack_into(buf, 0, 4, 0, 0, len(buf), HEADER.size, targets, 0, flags, 0, 0, 0,
                     name.encode(), b"")
    buf[HEADER.size:HEADER.size + len(data)] = data
    number = 3 << 30 | HEADER.size << 16 | 0xfd << 8 | command
    try:
        fcntl.ioctl(control, number, buf)
    except OSError as error:
        return error.errno
    return 0


def call_failing(n, *args):
    """The same with the n-th allocation failing: (errno, it was reached)."""
    os.pwrite(nth, b"%d" % n, 0)
    result = call(*args)
    left = int(os.pread(nth, 16, 0))
    os.pwrite(nth, b"0", 0)
    return result, left == 0


def systematically(what, again, *args):
    """again() is called between the tries, with what the last one returned."""
    failed = 0
    for n in range(1, LIMIT):
        result, reached = call_failing(n, *args)
        # An operation, or the first copy, still runs: not yet.
        retries = 100
        while result in (errno.EBUSY, errno.EPERM) and retries:
            retries -= 1
            time.sleep(0.1)
            result, reached = call_failing(n, *args)
        if not reached:
            if result:
                sys.exit(f"# {what}: {os.strerror(result)} though nothing failed")
            print(f"# {what}: {n - 1} allocations, {failed} failed it")
            return
        if result and result not in (errno.ENOMEM, errno.ENXIO, errno.EINVAL, errno.EINTR,
                                     errno.EAGAIN, errno.ENODEV, errno.EIO):
            sys.exit(f"# {what}: {os.strerror(result)} for the want of memory ({n})")
        failed += bool(result)
        again(result)
    sys.exit(f"# {what}: fails for ever")


def main():
    name, line = sys.argv[1:3]
    start, length, kind, params = line.split(None, 3)
    params = params.encode() + b"\0"
    params += bytes(-len(params) % 8)
    table = struct.pack("=QQiI16s", int(start), int(length), 0, 40 + len(params),
                        kind.encode()) + params

    def must(*args):
        result = call(*args)
        if result:
            sys.exit(f"# call {args[0]}: {os.strerror(result)}")

    def load():
        must(LOAD, name, 0, table, 1)

    def message(text):
        return struct.pack("=Q", 0) + text.encode() + b"\0"

    systematically("create", lambda r: r or must(REMOVE, name), CREATE, name)
    systematically("load", lambda r: r or must(CLEAR, name), LOAD, name, 0, table, 1)

    def anew(_):
        must(REMOVE, name)
        must(CREATE, name)
        load()
    systematically("first resume", anew, SUSPEND, name)
    systematically("status", lambda r: None, TABLE, name)
    if kind == "sync":
        for text in "set rate 0", "fracture", "resync":
            systematically(text, lambda r: None, MESSAGE, name, 0, message(text))
    systematically("suspend", lambda r: r or must(SUSPEND, name), SUSPEND, name, SUSPENDED)
    systematically("resume", lambda r: r or must(SUSPEND, name, SUSPENDED), SUSPEND, name)

    def back(result):
        if not result:
            must(CREATE, name)
            load()
            must(SUSPEND, name)
    systematically("remove", back, REMOVE, name)


main()
