#!/usr/bin/env python3
"""Writes the first inputs of the fuzz targets into tests/fuzz/corpus/: run once after a change of format.

The bytes are made by hand here, not by the code under test; checksums are left 0 where only the fuzzer cares."""

import json
import pathlib
import struct

BOOTS_MAGIC = 0x544f4f42
CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def entry(kind, body, records, index):
    """An entry header of 96 bytes and its body (docs/formats.md)."""
    head = struct.pack("<IBBHII", len(body), kind, 0, 0, records, 0)
    head += struct.pack("<QQQQQQQ", 1, index, index, 1700000000000, 0, 0, 0)
    return head + bytes(24) + body


def numbered(entry_bytes, producer, epoch, sequence):
    """The same with the fields of a producer."""
    head = bytearray(entry_bytes)
    struct.pack_into("<I", head, 12, epoch)
    struct.pack_into("<QQ", head, 48, producer, sequence)
    return bytes(head)


def producer_body(op, id, epoch, name, expire=()):
    head = struct.pack("<BBHIQII", op, 0, len(name), epoch, id, len(expire), 0)
    return head + b"".join(struct.pack("<Q", x) for x in expire) + name


def configuration():
    """A membership entry's body: one voter."""
    info = struct.pack("<QQQ", 1, 2, 3) + b"".join(struct.pack("<I", len(t)) + t for t in (b"n1", b"h:1", b"h:2"))
    return struct.pack("<IIIQIIII", 2, 0, 1, 1, 0, 0, 0, 1) + info


def state_key(kind, number):
    return kind + b"/" + struct.pack(">Q", number)


def store(applied, keys):
    """A store's content as tests/fuzz/state_fuzz.cpp reads it."""
    pairs = b"".join(struct.pack("<B", len(k)) + k + struct.pack("<H", len(v)) + v for k, v in keys)
    return struct.pack("<BI", 0, applied) + pairs


def state_store():
    answers = b"".join(struct.pack("<QQQQQIIQII", 3 + n, 1 + n, 1, 1000, 77, 1, 0, 2, 1 + n, 0) for n in range(3))
    return store(9, [
        (b"f", struct.pack("<II15Q", 2, 3, 3, 4, 8, 70, 10, 1000, 5, 4, 2, 2, 2, 500, 300, 2, 3)),
        (state_key(b"m", 1), struct.pack("<QQQ", 1, 0, 0)),
        (state_key(b"m", 8), struct.pack("<QQQ", 7, 1000, 900)),
        (b"t", struct.pack("<QQQQII", 3, 1 << 20, 0, 9, 1, 0)),
        (b"n/audit", struct.pack("<QQQII", 4, 4096, 1000, 1, 0)),
        (state_key(b"k", 3), struct.pack("<QQQQQQ", 5, 10, 10, 6, 900, 1000) + bytes(32)),
        (state_key(b"k", 7), struct.pack("<QQQQQQ", 6, 10, 4, 0, 950, 1000) + bytes(32)),
        (state_key(b"p", 2), struct.pack("<QQQQQII", 3, 3, 2, 1000, 3, 1, 0) + b"jobs"),
        (state_key(b"a", 0), struct.pack("<Q", 1) + answers),
        (state_key(b"u", 1), b""),
        (state_key(b"c", 1), configuration()),
    ])


def batch(*records):
    return b"".join(struct.pack("<I", len(r)) for r in records) + b"".join(records), len(records)


def frame(kind, payload):
    return struct.pack("<IHHII", 16 + len(payload), kind, 0, 1, 0) + payload


def golden(name):
    """A fixture's bytes: hex digits, `#` begins a comment."""
    text = (CORPUS.parent.parent / "support" / "golden" / name).read_text()
    return bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))


def point(index, term):
    return {"index": index, "term": term, "chain": "%016x" % index, "lsn_next": index + 1, "timestamp_ms": index}


def snapshot_manifest():
    member = {"id": 1, "name": "n1", "peer": "h:1", "client": "h:2", "incarnation": "%032x" % 5, "role": "voter",
              "priority": 0}
    archive = {"before": point(0, 0), "end": point(20, 2), "content_bytes": 900, "file_bytes": 700, "sha256": "ab" * 32}
    manifest = {"format": 2, "cluster_id": "%032x" % 7, "cluster_name": "demo", "genesis": "manifest-0.json",
                "genesis_hash": "%016x" % 9, "at": point(20, 2), "revision": 0, "feature_level": 3,
                "configurations": [{"index": 0, "now": [{"id": 1, "learner": False, "promote": False, "priority": 0}],
                                    "next": [], "leave_joint": False, "members": [member]}],
                "used_ids": [1], "state": {"bytes": 99, "sha256": "cd" * 32}, "archives": [archive]}
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def genesis(restored):
    member = {"id": 1, "name": "n1", "peer": "h:1", "client": "h:2", "incarnation": "%032x" % 5, "role": "voter",
              "priority": 0}
    manifest = {"format": 1, "cluster_id": "%032x" % 7, "cluster_name": "demo", "members": [member], "term": 0,
                "index": 0, "lsn_next": 1, "chain": "%016x" % 0, "feature_level": 3}
    if restored:
        manifest |= {"format": 3, "term": 2, "index": 20, "lsn_next": 12, "chain": "%016x" % 9, "timestamp_ms": 1000,
                     "content": "ab" * 32}
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def boots():
    """Without the checksum, which the target adds."""
    return struct.pack("<IIQQQQQQQQ", BOOTS_MAGIC, 2, 7, 70, 1, 2, 5, 50, 1, 60)


def identity():
    """Without the checksum, which the target adds."""
    return (b'format = 1\ncluster_id = "%032x"\ncluster_name = "demo"\nid = 1\nname = "n1"\nincarnation = "%032x"\n'
            % (7, 5))


def change(file, block, within, how, value):
    """One change of a log as tests/fuzz/wal_fuzz.cpp reads it; how: 0 zeros, 1 another block, 2 bits."""
    return struct.pack("<BBHBB", file, block, within, how, value)


def group(entries, count):
    """A group header of 128 bytes (docs/formats.md) whose magic, place and checksum the target puts right."""
    head = struct.pack("<QQQQQ", 0, 1, 2, 0, 1) + struct.pack("<QQQ", 5, 1, 1)
    head += struct.pack("<QQQQQ", 0, 0, 0, 1, 0) + struct.pack("<QIIQ", 0, count, 0, 0)
    return head + entries


def footer():
    head = struct.pack("<QQ", 0x0178_6469_6c61_7772, 1) + struct.pack("<QQQQQ", 9, 1, 77, 10, 1000)
    head += struct.pack("<IIII", 1, 1, 1, 0)
    mark = struct.pack("<QQQQQQQ", 0, 0, 0, 1, 0, 8320, 8192)
    return head + mark + struct.pack("<QQ", 1, 1) + struct.pack("<QQQ", 4, 9000, 6)


def state_file():
    head = struct.pack("<Q", 0x0165746174737372) + struct.pack("<QQQQQ", 20, 2, 3, 21, 4) + bytes(8)
    return head + b"".join(struct.pack("<II", len(k), len(v)) + k + v for k, v in ((b"f", b"x"), (b"u/7", b"")))


def main():
    body, count = batch(b"hello", b"", b"world")
    draft = entry(1, body, count, 0)
    files = {
        "entries/one_batch": entry(1, body, count, 1),
        "entries/noop_and_batch": entry(2, b"", 0, 1) + entry(1, body, count, 2),
        "archive/as_it_is": b"\x00" + golden("archive.hex"),
        "archive/checksums_put_right": b"\x01" + golden("archive.hex"),
        "snapshot/manifest": b"\x00" + snapshot_manifest(),
        "snapshot/state": b"\x01" + state_file(),
        "snapshot/genesis": b"\x02" + genesis(False),
        "snapshot/genesis_restored": b"\x02" + genesis(True),
        "snapshot/boots": b"\x03" + boots(),
        "snapshot/identity": b"\x04" + identity(),
        "wal/lost_groups": b"\x00" + change(0, 4, 60, 2, 8) + change(1, 5, 0, 0, 0) + change(0, 1, 40, 2, 1),
        "wal/misplaced_block": b"\x00" + change(2, 3, 0, 1, 4),
        "wal/headers": b"\x01" + change(0, 0, 32, 2, 1) + change(1, 1, 16, 2, 1) + change(1, 2, 100, 2, 3),
        "wal/group": b"\x02" + group(entry(2, b"", 0, 1) + entry(1, body, count, 2), 2),
        "wal/footer": b"\x03" + footer(),
        "save/as_it_is": b"\x00" + golden("save.hex"),
        "save/sums_put_right": b"\x01" + golden("save.hex"),
        "frame/append": frame(32, struct.pack("<IIQ", 112, 0, 0) + draft),
        "frame/request": frame(40, struct.pack("<I", 6) + b"\x0a\x00"),
        "producer/open": producer_body(1, 0, 0, b"jobs", (7, 9)),
        "producer/close": producer_body(2, 12, 3, b""),
        "state/store": state_store(),
        "state/entries": b"\x01" + entry(8, producer_body(1, 0, 0, b"jobs"), 0, 1)
                         + numbered(entry(1, body, count, 2), 1, 1, 1)
                         + entry(8, producer_body(1, 1, 0, b"", (5,)), 0, 3)
                         + entry(12, struct.pack("<I", 3), 0, 4)
                         + entry(3, configuration(), 0, 5)
                         + entry(8, producer_body(2, 1, 2, b""), 0, 6),
        "state/retained": b"\x01" + entry(1, body, count, 1)
                          + entry(7, struct.pack("<BBHIQQ", 1, 1, 5, 0, 2, 900) + b"audit", 0, 2)
                          + entry(6, struct.pack("<IIQQQ", 9, 1, 400, 0, 0), 0, 3)
                          + entry(9, struct.pack("<QQ", 2, 4) + bytes(32), 0, 4)
                          + entry(10, struct.pack("<QQ", 4, 0) + b"data", 0, 5)
                          + entry(11, struct.pack("<Q", 4), 0, 6)
                          + entry(5, struct.pack("<IIQ", 1, 0, 3), 0, 7) + entry(4, b"", 0, 8)
                          + entry(7, struct.pack("<BBHIQQ", 3, 0, 5, 0, 0, 0) + b"audit", 0, 9),
        "retention/trim": b"\x05" + golden("trim.hex"),
        "retention/policy": b"\x06" + golden("retention.hex"),
        "retention/cursor": b"\x07" + golden("cursor.hex"),
        "retention/begin": b"\x09" + golden("checkpoint_begin.hex"),
        "retention/chunk": b"\x0a" + golden("checkpoint_chunk.hex"),
        "retention/commit": b"\x0b" + golden("checkpoint_commit.hex"),
        "settings/node": b'cluster = "../cluster.toml"\nname = "n1"\ndata_dir = "data"\n'
                         b'[raft]\nelection_timeout = "1s"\n[log]\nsegment_bytes = "64MiB"\n',
        "settings/cluster": b'format = 1\n[cluster]\nname = "demo"\nid = "6f1c00000000000000000000000000aa"\n'
                            b'config_index = 1\n[[member]]\nid = 1\nname = "n1"\npeer = "127.0.0.1:7101"\n'
                            b'client = "127.0.0.1:7201"\nrole = "voter"\npriority = 0\ndata = "n1"\n',
    }
    for name, data in files.items():
        file = CORPUS / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


if __name__ == "__main__":
    main()
