# SPDX-License-Identifier: GPL-2.0-only
"""A newc archive of a few small files, appended to the constant initramfs."""


def entry(name, mode, data, inode):
    """One member, header and contents padded to four bytes."""
    path = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def archive(files):
    """{path: (permission, bytes)} as an archive; directories are made as needed."""
    done, parts, inode = set(), [], 1 << 20
    for name, (mode, data) in files.items():
        directory = name.rpartition("/")[0]
        if directory and directory not in done:
            done.add(directory)
            parts.append(entry(directory, 0o040755, b"", inode))
            inode += 1
        parts.append(entry(name, 0o100000 | mode, data, inode))
        inode += 1
    parts.append(entry("TRAILER!!!", 0, b"", 0))
    return b"".join(parts)
