"""Just enough of docs/protocol.md to say what raftctl never would."""

import ctypes
import struct

HELLO_OK = 2
COMMITTED, BAD_BATCH = 0, 5

_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_xxhash.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def checksum(data, seed=0):
    return _xxhash.XXH3_64bits_withSeed(data, len(data), seed)


def frame(kind, stream, fixed, rest=b""):
    length = 16 + len(fixed) + len(rest)
    seed = checksum(struct.pack("<IHHII", length, kind, 0, stream, 0))
    return struct.pack("<IHHII", length, kind, 0, stream, checksum(fixed, seed) & 0xFFFFFFFF) + fixed + rest


def hello():
    """Magic 0x52414654, versions 1 to 1, in protobuf."""
    message = bytes.fromhex("08d48c8592051001" "1801")
    return frame(1, 0, struct.pack("<I", 4 + len(message)) + message)


def append(stream, count, body, body_bytes=None, body_checksum=None):
    """A batch of `count` records, as a run of its own."""
    draft = struct.pack("<IBBHII6QQ2QQ", len(body) if body_bytes is None else body_bytes, 1, 0, 0, count, 0,
                        0, 0, 0, 0, 0, 0, checksum(body) if body_checksum is None else body_checksum, 0, 0, 0)
    return frame(32, stream, struct.pack("<IIQ", 112, 1, 0) + draft, body)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise AssertionError("the member closed the connection")
        data += more
    return data


def receive(connection):
    """(type, payload) of the next frame."""
    length, kind = struct.unpack("<IH10x", exactly(connection, 16))
    return kind, exactly(connection, length - 16)


def append_done(connection):
    """[(stream, code, first LSN)] of the next answer."""
    kind, payload = receive(connection)
    assert kind == 33, kind
    size, count = struct.unpack_from("<II", payload)
    items = size - 32 * count
    return [struct.unpack_from("<IIQ", payload, items + 32 * i) for i in range(count)]
