"""Files of members that are changed behind their backs, and clusters whose small files make many of them."""


def data_files(cluster, name, pattern):
    return sorted((cluster.folder / name / "data").glob(pattern))


def archives(cluster, name):
    """In the order of what they hold."""
    return sorted(data_files(cluster, name, "snapshot/*.zst"), key=lambda path: int(path.name.split("-")[0]))


def flip(path, at, bits=0x10):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bits]))


def flip_in_record(segment, start):
    """Change a byte inside the first record there that begins so. (Not just anywhere in a group: what pads one to a
    whole block belongs to nobody, and nobody misses it.)"""
    flip(segment, segment.read_bytes().index(start) + 100)


def small_log(cluster, keep="4MiB"):
    """Nobody scrubs, so that damage is met by what the test does and by nothing else."""
    for name in cluster.names:
        cluster.configure(name, "log", segment_bytes="1MiB", buffer_bytes="2MiB", scrub_rate="0")
        cluster.configure(name, "snapshot", wal_keep_bytes=keep)


def fill(cluster, parts=3, records=1500, record_bytes=3000):
    """Each part ends with a snapshot."""
    for part in range(parts):
        cluster.run("append", stdin="".join(f"{part}-{n}-{'z' * record_bytes}\n" for n in range(records)))
        cluster.run("snapshot", "take", "-q")
