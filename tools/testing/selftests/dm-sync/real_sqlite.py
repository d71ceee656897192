#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A database of SQLite that is written all the time, and what must be true of it.

write DATABASE JOURNAL  commit transactions until killed; print the number of each one
                        when it is committed. JOURNAL is wal or delete
check DATABASE LOW HIGH the transactions 1 to N are there, whole, and N is LOW to HIGH

Each transaction adds a row with its number and moves an amount between two accounts, so
that at every instant that there ever was the accounts add up to nothing.
"""

import random
import sqlite3
import sys

ACCOUNTS = 500


def connect(path):
    """No transaction is begun behind one's back."""
    return sqlite3.connect(path, isolation_level=None, timeout=60)


def create(db, journal):
    """Empty tables."""
    db.execute(f"pragma journal_mode={journal}")
    db.execute("pragma synchronous=full")
    db.execute("pragma wal_autocheckpoint=50")
    db.execute("create table mark (n integer primary key, filler blob, length integer)")
    db.execute("create index mark_length on mark (length)")
    db.execute("create table account (n integer primary key, amount integer)")
    db.execute("begin")
    db.executemany("insert into account values (?, 0)", ((i,) for i in range(ACCOUNTS)))
    db.execute("commit")


def write(path, journal):
    """One transaction after the other."""
    db = connect(path)
    create(db, journal)
    number = 0
    while True:
        number += 1
        amount, length = random.randrange(1000), random.randrange(1, 3000)
        one, other = random.sample(range(ACCOUNTS), 2)
        db.execute("begin immediate")
        db.execute("insert into mark values (?, randomblob(?), ?)", (number, length, length))
        db.execute("update account set amount = amount - ? where n = ?", (amount, one))
        db.execute("update account set amount = amount + ? where n = ?", (amount, other))
        db.execute("commit")
        print(number, flush=True)


def one(db, query):
    """The row that a query gives."""
    return db.execute(query).fetchone()


def check(path, low, high):
    """What is wrong, in a sentence; nothing if all is well."""
    db = connect(path)
    sound = one(db, "pragma integrity_check")[0]
    if sound != "ok":
        return f"integrity_check: {sound}"
    count, last = one(db, "select count(*), coalesce(max(n), 0) from mark")
    if count != last:
        return f"{count} transactions, the last one is {last}"
    if not low <= last <= high:
        return f"the last transaction is {last}, not {low} to {high}"
    if one(db, "select count(*) from mark where length(filler) != length")[0]:
        return "a row is damaged"
    accounts, total = one(db, "select count(*), sum(amount) from account")
    if accounts != ACCOUNTS or total:
        return f"{accounts} accounts add up to {total}"
    return None


def main():
    """See above."""
    command, path, *rest = sys.argv[1:]
    if command == "write":
        write(path, *rest)
    else:
        sys.exit(check(path, *map(int, rest)))


if __name__ == "__main__":
    main()
