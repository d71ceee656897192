#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
saw_image.py - writes by those who know that a restore has begun

    saw_image.py write DEVICE SENTINEL FIRST COUNT STRIDE PROCESSES
    saw_image.py check DEVICE SENTINEL FIRST COUNT STRIDE PROCESSES

Processes read the sector SENTINEL, again and again, until it is another one; then each
writes 4 KiB into every PROCESSES-th of COUNT places, STRIDE sectors apart, from sector
FIRST on. A write that was issued after the image had been seen must outlast the restore:
"check" looks for all of them.
"""

import mmap
import os
import sys
import time

BYTES = 4096
PATIENCE = 120 * int(os.environ.get("DM_SYNC_PATIENCE", "1"))


def content(place):
    return (b"saw the image %d " % place * BYTES)[:BYTES]


class Device:
    def __init__(self, name):
        self.fd = os.open(name, os.O_RDWR | os.O_DIRECT)
        self.buf = mmap.mmap(-1, BYTES)

    def read(self, sector, size=BYTES):
        if os.preadv(self.fd, [memoryview(self.buf)[:size]], sector * 512) != size:
            raise OSError("short read")
        return bytes(self.buf[:size])

    def write(self, sector, data):
        self.buf[:] = data
        if os.pwritev(self.fd, [self.buf], sector * 512) != len(data):
            raise OSError("short write")


def one_process(device, sentinel, places):
    end = time.monotonic() + PATIENCE
    before = device.read(sentinel, 512)
    sys.stdout.write(".")
    sys.stdout.flush()
    while device.read(sentinel, 512) == before:
        if time.monotonic() > end:
            raise TimeoutError("the image is not seen")
    for place, sector in places:
        device.write(sector, content(place))


def main():
    what, name = sys.argv[1:3]
    sentinel, first, count, stride, processes = map(int, sys.argv[3:])
    places = [(i, first + i * stride) for i in range(count)]
    if what == "check":
        device = Device(name)
        lost = [i for i, sector in places if device.read(sector) != content(i)]
        print("lost:", lost)
        return bool(lost)
    children = []
    for i in range(processes):
        pid = os.fork()
        if not pid:
            one_process(Device(name), sentinel, places[i::processes])
            os._exit(0)
        children.append(pid)
    return any([os.waitpid(pid, 0)[1] for pid in children])


if __name__ == "__main__":
    sys.exit(main())
