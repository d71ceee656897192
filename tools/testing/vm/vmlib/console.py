# SPDX-License-Identifier: GPL-2.0-only
"""Reading what a machine says: complaints of its kernel, output of its command."""

import re

# Messages after which no result counts, whatever the command said. A number of suspected
# leaks is none: the machine says at its end which of them are.
COMPLAINT = re.compile(
    r"Kernel panic|BUG:|WARNING:|Oops|kernel BUG at|general protection|Internal error:"
    r"|KASAN:|UBSAN:|KFENCE:|Unable to handle kernel"
    r"|possible (recursive|circular|irq lock|deadlock)|INFO: (task|rcu|suspicious|possible|trying)"
    r"|blocked for more than|soft lockup|hard LOCKUP|refcount_t:|kmemleak: .*unreferenced"
    r"|DEBUG_LOCKS_WARN|list_(add|del) corruption|bad unlock balance"
    r"|inconsistent lock state|held lock freed|lock held when returning")
PANIC = re.compile(r"Kernel panic|Attempted to kill init")
STAMP = re.compile(r"^(<\d+>)?\[ *\d+\.\d+\]\s*(\[\s*[TC]\d+\]\s*)?")


class Console:
    """Kernel messages, line by line; complaints count from the start mark on."""

    def __init__(self, nonce, log=None, echo=None):
        self.start, self.end = f"vm: start {nonce}", f"vm: end {nonce} "
        self.log, self.echo = log, echo
        self.lines, self.rest = [], b""
        self.started = self.ended = False
        self.first, self.asked = None, 0
        self.why = ""

    def feed(self, data):
        """Bytes as they come from the serial line."""
        if self.log:
            self.log.write(data)
            self.log.flush()
        if self.echo:
            self.echo.write(data)
            self.echo.flush()
        *lines, self.rest = (self.rest + data).split(b"\n")
        for raw in lines:
            self.line(raw.decode(errors="replace").rstrip("\r"))

    def line(self, text):
        """One complete line."""
        self.lines.append(text)
        if self.start in text:
            self.started = True
        elif self.end in text:
            self.ended = True
        elif self.first is None and (self.started and COMPLAINT.search(text)
                                     or PANIC.search(text)):
            self.first = len(self.lines) - 1
            self.why = STAMP.sub("", text)

    def finish(self):
        """No more bytes will come."""
        if self.rest:
            self.line(self.rest.decode(errors="replace"))
            self.rest = b""

    def splat(self):
        """The first complaint with what surrounds it."""
        return self.lines[max(0, self.first - 3):self.first + 90]

    def tail(self, count=40):
        """The last lines."""
        return self.lines[-count:]


class Output:
    """The command's output, passed on live, up to the end mark."""

    def __init__(self, nonce, sink):
        self.mark = f"<<vm-end {nonce} ".encode()
        self.sink, self.held, self.status = sink, b"", None

    def feed(self, data):
        """Bytes from the port; what may be the beginning of the mark waits."""
        if self.status is not None:
            return
        self.held += data
        at = self.held.find(self.mark)
        if at >= 0:
            end = self.held.find(b">>\n", at)
            if end >= 0:
                self.emit(self.held[:at])
                self.status = int(self.held[at + len(self.mark):end])
            return
        keep = 0
        for length in range(min(len(self.mark) - 1, len(self.held)), 0, -1):
            if self.mark.startswith(self.held[-length:]):
                keep = length
                break
        cut = len(self.held) - keep
        self.emit(self.held[:cut])
        self.held = self.held[cut:]

    def finish(self):
        """The port is closed; what was held back was no mark."""
        if self.status is None:
            self.emit(self.held)
        self.held = b""

    def emit(self, data):
        """To the runner's own standard output, at once."""
        if data:
            self.sink.write(data)
            self.sink.flush()
