# SPDX-License-Identifier: GPL-2.0-only
"""Which kernel to boot, and the files a boot needs that are kept between runs.

A kernel is named by its release (then it is an installed one) or by a
directory: an unpacked package (boot/vmlinuz-R, lib/modules/R) or a build tree
(vmlinux, include/config/kernel.release, lib/modules/R inside it).

Kept in the cache, by release and identity of the image: the decompressed
vmlinux (QEMU starts it through PVH in half the time of a vmlinuz) and the
constant part of the initramfs.
"""

import bz2
import glob
import hashlib
import lzma
import os
import platform
import re
import subprocess
import zlib

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class VmError(Exception):
    """The machine cannot be built; the message says why."""


def cache_dir():
    """The directory kept between runs; made if it is not there."""
    path = os.environ.get("DM_SYNC_CACHE")
    if not path:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        path = os.path.join(base, "dm-sync")
    os.makedirs(path, exist_ok=True)
    return path


def natural(release):
    """Sorting key under which 6.1.0-9 comes before 6.1.0-56."""
    return [(0, int(w)) if w.isdigit() else (1, w) for w in re.findall(r"\d+|[a-z]+", release)]


class Kernel:
    """release, image, root (for modprobe -d), modules (a directory to bind, or '').

    direct: the image may be decompressed here and started through PVH. Not that of a
    kernel with KASAN: its PVH entry is instrumented and faults before there is a shadow.
    """

    def __init__(self, release, image, root, modules="", direct=True):
        self.release, self.image, self.root, self.modules = release, image, root, modules
        self.direct = direct and platform.machine() == "x86_64"
        if not os.access(image, os.R_OK):
            raise VmError(f"cannot read {image}")
        if not os.path.isdir(os.path.join(root, "lib/modules", release)):
            raise VmError(f"no modules of {release} below {root}")

    def kept(self):
        """The cache directory of this very image."""
        stat = os.stat(self.image)
        key = f"{os.path.realpath(self.image)} {stat.st_size} {stat.st_mtime_ns}"
        name = self.release + "-" + hashlib.sha256(key.encode()).hexdigest()[:10]
        path = os.path.join(cache_dir(), "boot", name)
        os.makedirs(path, exist_ok=True)
        return path

    def boot_image(self):
        """What QEMU loads: the ELF vmlinux where that is possible."""
        if not self.direct:
            return self.image
        path = os.path.join(self.kept(), "vmlinux")
        if not os.path.exists(path):
            with open(self.image, "rb") as file:
                elf = extract_vmlinux(file.read())
            if elf is None:
                return self.image
            store(path, elf)
        return path

    def initramfs(self):
        """The constant part of the initramfs, as bytes."""
        script = os.path.join(HERE, "mkinitramfs")
        with open(script, "rb") as file:
            key = hashlib.sha256(file.read())
        depends = os.path.join(self.root, "lib/modules", self.release, "modules.dep")
        for path in (depends, "/bin/busybox"):
            if os.path.exists(path):
                key.update(str(os.stat(path).st_mtime_ns).encode())
        path = os.path.join(self.kept(), "initramfs-" + key.hexdigest()[:10])
        if not os.path.exists(path):
            done = subprocess.run([script, self.release, self.root, path], check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                raise VmError("initramfs: " + done.stdout.strip())
        with open(path, "rb") as file:
            return file.read()


def store(path, data):
    """Write a file of the cache at once, so that a second run never sees half of it."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.rename(temporary, path)


def zstd(data):
    """Decompress the first zstd frame of data by the zstd program."""
    done = subprocess.run(["zstd", "-qdc"], input=data, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout


def xz(data):
    """Decompress an xz stream followed by other bytes."""
    return lzma.LZMADecompressor().decompress(data)


def gz(data):
    """Decompress a gzip member followed by other bytes."""
    return zlib.decompressobj(31).decompress(data)


def bz(data):
    """Decompress a bzip2 stream followed by other bytes."""
    return bz2.BZ2Decompressor().decompress(data)


MAGICS = ((b"\xfd7zXZ\x00", xz), (b"\x28\xb5\x2f\xfd", zstd), (b"\x1f\x8b\x08", gz), (b"BZh", bz))


def extract_vmlinux(image):
    """The ELF file inside a bzImage, or None."""
    for magic, decompress in MAGICS:
        at = image.find(magic)
        while at >= 0:
            try:
                data = decompress(image[at:])
            except (OSError, EOFError, lzma.LZMAError, ValueError, zlib.error):
                data = b""
            if data[:4] == b"\x7fELF":
                return data
            at = image.find(magic, at + 1)
    return None


def installed():
    """Releases under /boot that have their modules, oldest first."""
    names = [os.path.basename(p).split("-", 1)[1] for p in glob.glob("/boot/vmlinuz-*")]
    return sorted((n for n in names if os.path.isdir(f"/lib/modules/{n}")), key=natural)


def from_directory(path):
    """A build tree or an unpacked package."""
    path, direct = os.path.abspath(path), True
    mark = os.path.join(path, "include/config/kernel.release")
    if os.path.exists(mark):
        with open(mark, encoding="ascii") as file:
            release = file.read().strip()
        images = glob.glob(os.path.join(path, "arch/*/boot/*Image"))
        with open(os.path.join(path, ".config"), encoding="utf-8") as file:
            direct = "CONFIG_KASAN=y" not in file.read()
    else:
        images = sorted(glob.glob(os.path.join(path, "boot/vmlinuz-*")), key=natural, reverse=True)
        release = os.path.basename(images[0]).split("-", 1)[1] if images else ""
    images = [image for image in images if os.path.exists(image)]
    if not images:
        raise VmError(f"{path}: neither a kernel build tree nor an unpacked package")
    return Kernel(release, images[0], path, os.path.join(path, "lib/modules", release), direct)


def find(name):
    """The kernel of that name; without a name the newest installed one with headers."""
    if name and os.path.isdir(name):
        return from_directory(name)
    releases = installed()
    if name:
        if name not in releases:
            raise VmError(f"kernel {name} is not installed; there are: {' '.join(releases)}")
        return Kernel(name, f"/boot/vmlinuz-{name}", "/")
    if not releases:
        raise VmError("no kernel is installed below /boot: run tools/setup check")
    built = [r for r in releases if os.path.isdir(f"/lib/modules/{r}/build")]
    newest = (built or releases)[-1]
    return Kernel(newest, f"/boot/vmlinuz-{newest}", "/")
