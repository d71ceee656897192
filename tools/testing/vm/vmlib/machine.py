# SPDX-License-Identifier: GPL-2.0-only
"""The virtual machine: what differs by architecture, and QEMU's command line.

Acceleration: the presence of /dev/kvm proves nothing (nested virtualisation
may start a stock kernel and never bring it up). A probe boots the kernel under
KVM into an init that prints one line; the answer is kept in the cache, by host
kernel, QEMU and processor. VM_ACCEL=kvm or tcg overrides it.
"""

import fcntl
import hashlib
import os
import platform
import signal
import subprocess
import tempfile
import time

from vmlib import cpio
from vmlib.kernel import VmError, cache_dir

PROBE_SECONDS = 8

# Always q35 on x86: on the default machine a KASAN kernel spends two minutes
# in ACPI interrupt routing. A kernel as slow as that may also miss the ticks by
# which it checks its timer's interrupt, and then gives up: it need not check.
ARCH = {
    "x86_64": {"qemu": "qemu-system-x86_64", "machine": "q35", "cpu": "max,la57=off",
               "console": "ttyS0", "nmi": True,
               "append": ["no_timer_check"]},
    "aarch64": {"qemu": "qemu-system-aarch64", "machine": "virt,gic-version=max",
                "cpu": "max,pauth-impdef=on", "console": "ttyAMA0", "nmi": False,
                "append": []},
}


def arch():
    """The row of the table for this host."""
    try:
        return ARCH[platform.machine()]
    except KeyError:
        raise VmError(f"no machine described for {platform.machine()}") from None


def qemu():
    """The emulator, or a sentence about what is missing."""
    name = arch()["qemu"]
    for path in (os.environ.get("PATH", "") + ":/usr/bin").split(":"):
        if os.access(os.path.join(path, name), os.X_OK):
            return os.path.join(path, name)
    raise VmError(f"{name} is not installed: run tools/setup check")


def base(accel, smp, memory, icount=False):
    """Options common to a run and to the probe."""
    row = arch()
    cpu = row["cpu"]
    if accel == "kvm":
        cpu = "host"
        acceleration = "kvm"
    else:
        acceleration = "tcg,thread=single" if icount else "tcg,thread=multi"
    words = [qemu(), "-M", row["machine"], "-accel", acceleration, "-cpu", cpu,
             "-smp", str(smp), "-m", str(memory), "-nodefaults", "-no-user-config",
             "-display", "none", "-no-reboot"]
    if icount:
        words += ["-icount", "shift=0,sleep=off"]
    return words


def command_line(icount=False, kmemleak=False, extra=""):
    """The kernel's command line."""
    words = [f"console={arch()['console']}", "panic=-1", "oops=panic", "softlockup_panic=1",
             "hung_task_panic=1", "loglevel=7", "rcupdate.rcu_cpu_stall_timeout=120",
             "kfence.sample_interval=10", "random.trust_cpu=on", "printk.devkmsg=on"]
    words += arch()["append"]
    words.append("kmemleak=" + ("on" if kmemleak else "off"))
    if icount:
        words.append("nosoftlockup")
    return " ".join(words + [extra]).strip()


def die_with_parent():
    """Run in the child: no machine outlives its runner, however that ends."""
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    os.setpgid(0, 0)


def probe(kernel):
    """Does a boot under KVM come up within a few seconds?"""
    init = (b"#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs dev /dev\n"
            b"echo VM-PROBE-UP > /dev/kmsg\n/bin/busybox reboot -f\n")
    with tempfile.TemporaryDirectory(prefix="dm-sync-probe-") as directory:
        initrd = os.path.join(directory, "initrd")
        console = os.path.join(directory, "console")
        with open(initrd, "wb") as file:
            file.write(kernel.initramfs() + cpio.archive({"init": (0o755, init)}))
        words = base("kvm", 2, 512) + ["-serial", "file:" + console, "-initrd", initrd,
                                       "-kernel", kernel.boot_image(), "-append", command_line()]
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        end = time.monotonic() + PROBE_SECONDS
        up = False
        while not up and time.monotonic() < end and child.poll() is None:
            time.sleep(0.1)
            up = b"VM-PROBE-UP" in read(console)
        up = up or b"VM-PROBE-UP" in read(console)
        child.kill()
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            pass
        return up


def read(path):
    """A file's bytes; empty where there is none yet."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def acceleration(kernel):
    """kvm or tcg, from the environment, the cache or a probe."""
    forced = os.environ.get("VM_ACCEL")
    if forced in ("kvm", "tcg"):
        return forced
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    stat = os.stat(qemu())
    key = f"{platform.release()} {stat.st_mtime_ns} {cpu_model()} {kernel.release}"
    answer = os.path.join(cache_dir(), "kvm-" + hashlib.sha256(key.encode()).hexdigest()[:10])
    with open(answer, "a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = file.read().strip()
        if known not in ("kvm", "tcg"):
            known = "kvm" if probe(kernel) else "tcg"
            file.write(known + "\n")
    return known


def cpu_model():
    """The processor, as far as it can be told."""
    for line in read("/proc/cpuinfo").decode(errors="replace").splitlines():
        if line.startswith(("model name", "CPU part")):
            return line.partition(":")[2].strip()
    return ""
