#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Generic netlink family dm-sync, spoken by hand: no library that could be wrong too.

nl.py info                      version, number of pairs, number of the newest event
nl.py dump                      id, name and CopyState of every pair
nl.py get NAME                  all attributes of a pair
nl.py ops NAME WORD...          ask for operations in turn (number, or number! for force,
                                number? for a dry run): prints number, result, sentence,
                                and "changed" when an attribute is not as before
nl.py set NAME ATTR VALUE       a setting by number
nl.py images NAME FIRST END     new images i<FIRST> up to i<END - 1> of a source door: prints
                                number, error and sentence of those that are refused
nl.py events SECONDS [COUNT]    what comes on the group "monitor": one line each
nl.py soak SECONDS              dumps in a loop; fails when one contradicts itself
nl.py bad                       requests that must be refused
"""
import errno
import os
import select
import socket
import struct
import sys
import time

NETLINK_GENERIC, SOL_NETLINK, ADD_MEMBERSHIP, CAP_ACK, EXT_ACK = 16, 270, 1, 10, 11
REQUEST, ACK, DUMP, DUMP_INTR, TLVS = 1, 4, 0x300, 0x10, 0x200
ERROR, DONE = 2, 3
PAIR_GET, PAIR_OP, PAIR_SET, HISTORY_GET, IMAGE_CREATE = 2, 3, 4, 5, 10
NOTES = {6: 'create', 7: 'change', 8: 'delete', 9: 'progress'}
NAMES = '''pad id uuid name event-seq generation door-major door-minor source-major source-minor
replica-major replica-minor meta-major meta-minor sync-time sync-maintained copy-state
requested-copy-state sync-type sync-mode progress-status percent-synced copy-type replica-type
sync-state copy-priority copy-methodology rpo-objective rpo-measured reason reason-time allowed-ops
allowed-ops-force door-access size-bytes region-bytes regions source-changed replica-changed
total-bytes done-bytes rate-bytes limit-bytes limited-by read-bytes written-bytes skipped-bytes
host-reads host-writes reads-from-replica source-errors replica-errors metadata-writes activity-hits
activity-misses held hold-max recovery hold operation flags cause changed time started
copied-since image saved-bytes alone-bytes store-bytes store-free-bytes pause-ns slots
stop-at fill-rate-bytes full-seconds'''.split()
ATTR = {name: number for number, name in enumerate(NAMES, 1)}
# What goes on by itself while nothing is asked for.
VOLATILE = {'total-bytes', 'done-bytes', 'rate-bytes', 'limited-by', 'read-bytes', 'written-bytes',
            'skipped-bytes', 'host-reads', 'host-writes', 'metadata-writes', 'activity-hits',
            'activity-misses', 'rpo-measured', 'copied-since', 'time', 'percent-synced',
            'source-changed', 'event-seq', 'fill-rate-bytes', 'full-seconds'}
SYNCHRONIZING, RESYNCING, PENDING = 6, 7, 20
MIRROR = 6


def attribute(number, data):
    if isinstance(data, int):
        data = struct.pack('=I' if data < 1 << 32 else '=Q', data)
    elif isinstance(data, str):
        data = data.encode() + b'\0'
    length = 4 + len(data)
    return struct.pack('=HH', length, number) + data + b'\0' * (-length % 4)


def attributes(data):
    while len(data) >= 4:
        length, number = struct.unpack_from('=HH', data)
        yield number & 0x3fff, data[4:length]
        data = data[(length + 3) & ~3:]


def value(data):
    if len(data) == 4:
        return struct.unpack('=I', data)[0]
    if len(data) == 8:
        return struct.unpack('=Q', data)[0]
    return data


def decode(data):
    pair = {}
    for number, raw in attributes(data):
        name = NAMES[number - 1] if number <= len(NAMES) else str(number)
        if name in pair:
            raise ValueError('attribute %s is there twice' % name)
        if name == 'pad':
            continue
        pair[name] = raw.rstrip(b'\0').decode() if name in ('name', 'image') else \
            raw.hex() if name == 'uuid' else value(raw)
    return pair


class Refused(Exception):
    def __init__(self, number, sentence):
        name = {errno.EOPNOTSUPP: 'EOPNOTSUPP'}.get(number) or errno.errorcode.get(number)
        super().__init__(name or str(number), sentence)
        self.number, self.sentence = number, sentence


class Netlink:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.socket.bind((0, 0))
        self.socket.setsockopt(SOL_NETLINK, EXT_ACK, 1)
        self.socket.setsockopt(SOL_NETLINK, CAP_ACK, 1)
        self.sequence = 0
        self.interrupted = False
        self.family, self.groups = 16, {}
        for number, data in attributes(self.request(3, attribute(2, 'dm-sync'))[0]):
            if number == 1:
                self.family = struct.unpack('=H', data)[0]
            elif number == 7:
                for _, group in attributes(data):
                    parts = dict(attributes(group))
                    name = parts[1].rstrip(b'\0').decode()
                    self.groups[name] = struct.unpack('=I', parts[2])[0]

    def listen(self, group):
        self.socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, self.groups[group])

    def send(self, command, payload, flags, version=1):
        self.sequence += 1
        message = struct.pack('=BBH', command, version, 0) + payload
        self.socket.send(struct.pack('=IHHII', 16 + len(message), self.family,
                                     REQUEST | ACK | flags, self.sequence, 0) + message)

    def messages(self):
        data = self.socket.recv(1 << 20)
        while len(data) >= 16:
            length, kind, flags, sequence, _ = struct.unpack_from('=IHHII', data)
            yield kind, flags, sequence, data[16:length]
            data = data[(length + 3) & ~3:]

    def refuse(self, flags, body):
        code = -struct.unpack_from('=i', body)[0]
        if not code:
            return
        sentence = ''
        if flags & TLVS:
            for number, raw in attributes(body[20:]):
                if number == 1:
                    sentence = raw.rstrip(b'\0').decode()
        raise Refused(code, sentence)

    def request(self, command, payload=b'', flags=0):
        self.send(command, payload, flags)
        answers = []
        while True:
            for kind, got, sequence, body in self.messages():
                if sequence != self.sequence:
                    continue
                self.interrupted |= bool(got & DUMP_INTR)
                if kind == ERROR:
                    self.refuse(got, body)
                    return answers
                if kind == DONE:
                    code = -struct.unpack_from('=i', body)[0]
                    if code > 0:
                        raise Refused(code, '')
                    return answers
                answers.append(body[4:])

    def dump(self):
        self.interrupted = False
        return [decode(body) for body in self.request(PAIR_GET, flags=DUMP)]

    def get(self, name):
        return decode(self.request(PAIR_GET, attribute(ATTR['name'], name))[0])


def show(pair):
    for name in NAMES:
        if name in pair:
            print(name, pair[name])


def stands_still(before, after):
    """A copy that moves nothing for a second says so by itself, and when it goes on."""
    pair = {before.get('progress-status'), after.get('progress-status')}
    return len(pair) == 2 and PENDING in pair and pair <= {SYNCHRONIZING, RESYNCING, PENDING}


def ops(netlink, name, words):
    for word in words:
        flags = {'!': 1, '?': 2}.get(word[-1], 0)
        number = int(word.rstrip('!?'))
        before = netlink.get(name)
        payload = attribute(ATTR['name'], name) + attribute(ATTR['operation'], number)
        if flags:
            payload += attribute(ATTR['flags'], flags)
        try:
            netlink.request(PAIR_OP, payload)
            result, sentence = '0', ''
        except Refused as refused:
            result, sentence = refused.args
            if not sentence:
                sentence = 'NO SENTENCE'
        try:
            after = netlink.get(name)
        except Refused:
            after = {}          # it was detached
        volatile = VOLATILE
        if stands_still(before, after):
            volatile = VOLATILE | {'progress-status', 'generation'}
        changed = [key for key in set(before) | set(after) if key not in volatile and
                   before.get(key) != after.get(key)]
        print(word, result, 'changed' if changed else 'same', sentence, ' '.join(sorted(changed)))


def images(netlink, door, first, end):
    for number in range(first, end):
        try:
            netlink.request(IMAGE_CREATE, attribute(ATTR['name'], door) +
                            attribute(ATTR['image'], 'i%d' % number))
        except Refused as refused:
            print(number, *refused.args)


def events(netlink, seconds, count):
    netlink.listen('monitor')
    print('listening', flush=True)
    end = time.monotonic() + seconds
    while count and time.monotonic() < end:
        if not select.select([netlink.socket], [], [], max(0, end - time.monotonic()))[0]:
            break
        for kind, _, _, body in netlink.messages():
            if kind != netlink.family:
                continue
            pair = decode(body[4:])
            print(pair.get('event-seq'), NOTES.get(body[0], body[0]), pair.get('name'),
                  pair.get('copy-state', '-'), pair.get('progress-status', '-'),
                  pair.get('requested-copy-state', '-'), pair.get('sync-state', '-'),
                  pair.get('sync-maintained', '-'), pair.get('cause', '-'),
                  pair.get('operation', '-'), pair.get('percent-synced', '-'), flush=True)
            count -= 1


def maintained(pair):
    """Only a mirror follows; what was copied of one moment never does."""
    return pair['copy-state'] == 4 and pair['sync-type'] == MIRROR


def soak(netlink, seconds):
    end, rounds, torn = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        pairs = netlink.dump()
        rounds += 1
        torn += netlink.interrupted
        ids = [pair['id'] for pair in pairs]
        if len(ids) != len(set(ids)):
            raise ValueError('a pair is in the dump twice: %s' % ids)
        for pair in pairs:
            if pair['copy-state'] == pair['requested-copy-state'] or \
               maintained(pair) != bool(pair['sync-maintained']):
                raise ValueError('a pair contradicts itself: %s' % pair)
    print('dumps', rounds, 'interrupted', torn)


BAD = (
    ('no pair named', PAIR_GET, b'', 0),
    ('no such name', PAIR_GET, attribute(ATTR['name'], 'dmst-nobody'), 0),
    ('no such id', PAIR_GET, attribute(ATTR['id'], 999999), 0),
    ('a name without an end', PAIR_GET, struct.pack('=HH', 8, ATTR['name']) + b'abcd', 0),
    ('a name too long', PAIR_GET, attribute(ATTR['name'], 'n' * 300), 0),
    ('an id of two bytes', PAIR_GET, struct.pack('=HHHH', 6, ATTR['id'], 1, 0), 0),
    ('an attribute longer than the message', PAIR_GET, struct.pack('=HHI', 64, ATTR['id'], 1), 0),
    ('an unknown attribute', PAIR_GET, attribute(200, 1), 0),
    ('an attribute that is no key', PAIR_GET, attribute(ATTR['size-bytes'], 1 << 40), 0),
    ('an operation without a pair', PAIR_OP, attribute(ATTR['operation'], 12), 0),
    ('an unknown command', 77, b'', 0),
    ('a notification as a request', 7, b'', 0),
    ('a setting of nothing', PAIR_SET, b'', 0),
    ('an image without a door', IMAGE_CREATE, attribute(ATTR['image'], 'x'), 0),
    ('an image without a name', IMAGE_CREATE, attribute(ATTR['name'], 'dmst-nobody'), 0),
    ('an image of nobody', IMAGE_CREATE,
     attribute(ATTR['name'], 'dmst-nobody') + attribute(ATTR['image'], 'x'), 0),
    ('an image name too long', IMAGE_CREATE,
     attribute(ATTR['name'], 'dmst-nobody') + attribute(ATTR['image'], 'x' * 64), 0),
)


def bad(netlink):
    for what, command, payload, flags in BAD:
        try:
            netlink.request(command, payload, flags)
            print('accepted:', what)
        except Refused as refused:
            print('refused:', what, *refused.args)


def main(words):
    netlink = Netlink()
    command, rest = words[0], words[1:]
    if command == 'info':
        for number, raw in attributes(netlink.request(1)[0]):
            print(('pad version abi event-seq pairs features'.split() + ['?'] * 9)[number - 1],
                  raw.rstrip(b'\0').decode() if number == 2 else value(raw))
    elif command == 'dump':
        for pair in netlink.dump():
            print(pair['id'], pair['name'], pair['copy-state'])
        if netlink.interrupted:
            print('interrupted')
    elif command == 'get':
        show(netlink.get(rest[0]))
    elif command == 'ops':
        ops(netlink, rest[0], rest[1:])
    elif command == 'set':
        wide = rest[1].endswith('-bytes')
        netlink.request(PAIR_SET, attribute(ATTR['name'], rest[0]) + attribute(
            ATTR[rest[1]], struct.pack('=Q' if wide else '=I', int(rest[2]))))
    elif command == 'images':
        images(netlink, rest[0], int(rest[1]), int(rest[2]))
    elif command == 'events':
        events(netlink, float(rest[0]), int(rest[1]) if len(rest) > 1 else 1 << 30)
    elif command == 'soak':
        soak(netlink, float(rest[0]))
    elif command == 'bad':
        bad(netlink)
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        if os.environ.get('NL_USER'):
            os.setuid(int(os.environ['NL_USER']))
        main(sys.argv[1:])
    except Refused as error:
        print('refused:', *error.args)
        sys.exit(1)
