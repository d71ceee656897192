# SPDX-License-Identifier: GPL-2.0-only
"""What is handed to the machine for one run: its scripts, the command, the environment."""

import os
import shlex
import subprocess

from vmlib import cpio
from vmlib.kernel import HERE, VmError

PASSED = ("PATH", "TERM", "LANG", "LC_ALL", "USER", "COLUMNS")
PREFIXES = ("DM_SYNC_", "KSELFTEST_", "KSFT_", "SYNCTL_")
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


def top():
    """The root of the source tree."""
    return os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def modinfo(path, field):
    """One field of a module file."""
    for tool in ("/sbin/modinfo", "/usr/sbin/modinfo", "modinfo"):
        if os.path.exists(tool) or "/" not in tool:
            done = subprocess.run([tool, "-F", field, path], check=False, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            return done.stdout.strip()
    return ""


def find_module(release):
    """dm-sync.ko built for that kernel; '' where there is none."""
    for place in (f"build/{release}", f"build/{release}/kernel", "kernel"):
        path = os.path.join(top(), place, "dm-sync.ko")
        if os.path.exists(path) and modinfo(path, "vermagic").split(" ")[0] == release:
            return path
    return ""


def environment(extra):
    """Lines of shell that set the command's environment."""
    values = {name: os.environ[name] for name in PASSED if name in os.environ}
    values.update((n, v) for n, v in os.environ.items() if n.startswith(PREFIXES))
    path = values.get("PATH", "").split(":")
    values["PATH"] = ":".join([p for p in path if p] + [p for p in SBIN if p not in path])
    values.update(HOME="/root", TMPDIR="/tmp", DM_DISABLE_UDEV="1", DM_SYNC_VM="1")
    for word in extra:
        name, is_set, value = word.partition("=")
        if is_set or name in os.environ:
            values[name] = value if is_set else os.environ[name]
    return "".join(f"export {n}={shlex.quote(v)}\n" for n, v in values.items()
                   if n.isidentifier())


def settings(kernel, options, nonce, disks):
    """Shell variables that init2 reads."""
    module = "" if options.no_module else find_module(kernel.release)
    here = os.getcwd()
    if (here + "/").startswith(("/dev/", "/proc/", "/sys/", "/run/")):
        raise VmError(f"{here}: the machine has its own files there; work somewhere else")
    values = {
        "nonce": nonce,
        "module": module,
        "depends": modinfo(module, "depends").replace(",", " ") if module else "",
        "modules": kernel.modules,
        # A working tree below /tmp must stay visible: then /tmp is the overlay.
        "tmp": "overlay" if (here + "/").startswith("/tmp/") else "tmpfs",
        "scsi": "1" if any(disk.scsi for disk in disks) else "",
        # In simulated time an idle wait for the host may look like hours.
        "hung": "0" if options.icount else "120",
        "kmemleak": "1" if options.kmemleak else "",
        "shares": " ".join(os.path.abspath(path) for path in options.share),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def initramfs(kernel, options, nonce, disks):
    """The whole initramfs of a run, as bytes."""
    words = " ".join(shlex.quote(word) for word in options.command)
    command = f"cd -- {shlex.quote(os.getcwd())} || exit 122\nexec {words}\n"
    files = {
        "init": (0o755, script("init")),
        "vm/init2": (0o644, script("init2")),
        "vm/settings": (0o644, settings(kernel, options, nonce, disks).encode()),
        "vm/environment": (0o644, environment(options.env).encode()),
        "vm/command": (0o644, command.encode(errors="surrogateescape")),
    }
    return kernel.initramfs() + cpio.archive(files)


def script(name):
    """A file next to the runner."""
    with open(os.path.join(HERE, name), "rb") as file:
        return file.read()
