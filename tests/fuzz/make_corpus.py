#!/usr/bin/env python3
"""Writes the first inputs of the fuzz targets into tests/fuzz/corpus/: run once after a change of format.

The bytes are made by hand here, not by the code under test; checksums are left 0 where only the fuzzer cares."""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def entry(kind, body, records, index):
    """An entry header of 96 bytes and its body (docs/formats.md)."""
    head = struct.pack("<IBBHII", len(body), kind, 0, 0, records, 0)
    head += struct.pack("<QQQQQQQ", 1, index, index, 1700000000000, 0, 0, 0)
    return head + bytes(24) + body


def batch(*records):
    return b"".join(struct.pack("<I", len(r)) for r in records) + b"".join(records), len(records)


def frame(kind, payload):
    return struct.pack("<IHHII", 16 + len(payload), kind, 0, 1, 0) + payload


def main():
    body, count = batch(b"hello", b"", b"world")
    draft = entry(1, body, count, 0)
    files = {
        "entries/one_batch": entry(1, body, count, 1),
        "entries/noop_and_batch": entry(2, b"", 0, 1) + entry(1, body, count, 2),
        "frame/append": frame(32, struct.pack("<IIQ", 112, 0, 0) + draft),
        "frame/request": frame(40, struct.pack("<I", 6) + b"\x0a\x00"),
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
