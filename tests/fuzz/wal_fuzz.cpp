// The write-ahead log's files, by the first byte: 0, changes of a good log, found or harmless: never another
// entry, and what a repair puts right stays right; 1, the same with all checksums put right behind the
// changes; 2, any bytes as a group; 3, any bytes as a footer.
#include <map>

#include "base/checksum.h"
#include "base/codec.h"
#include "tests/support/memory_files.h"
#include "wal/mend.h"
#include "wal/whole.h"

using namespace raftd;
using namespace raftd::wal;

namespace {

constexpr SegmentKey kKey{1, 77};

void require(bool good) {
    if (!good) __builtin_trap();
}

Options options() {
    Options made;
    made.dir = "/wal";
    made.cluster_id = {1, 2};
    made.incarnation = {3, 4};
    made.first_segment_bytes = made.segment_bytes = 48u << 10;
    made.group_bytes_max = 6u << 10;
    made.salt_seed = 5;
    made.holes = true;
    return made;
}

/// Some segments in several terms, and what they hold.
struct GoodLog {
    std::map<std::string, std::string> files;
    std::vector<LogPoint> points{LogPoint{}};  // behind entry 0, 1, ...
    std::vector<std::vector<std::byte>> entries{{}};

    GoodLog() {
        fakes::MemoryFiles disk;
        LogMaker maker(disk, options(), {Term{9}, NodeId{1}});
        while (points.size() < 160) require(maker.append(next_entry()).has_value());
        require(maker.finish().has_value());
        int failed = 0;
        for (const std::string& name : disk.list("/wal", failed))
            files["/wal/" + name] = disk.content("/wal/" + name);
        require(files.size() > 2);
    }

private:
    ByteView next_entry() {
        const uint64_t number = points.size();
        const std::string record(300 + number * 7 % 800, static_cast<char>('a' + number % 26));
        const ByteView view = as_bytes(record);
        std::vector<std::byte> entry(kEntryHeaderBytes + body_bytes_for(1, record.size()));
        const MutableBytes body = MutableBytes(entry).subspan(kEntryHeaderBytes);
        encode_body({&view, 1}, body);
        EntryHeader header = draft_batch(1, body);
        if (number % 40 == 0) {
            header = {};
            header.kind = EntryKind::membership;
            header.body_bytes = static_cast<uint32_t>(body.size());
            header.body_checksum = checksum(body);
        }
        finish_header(header, points.back(), Term{1 + number / 50}, 1'700'000'000'000 + number);
        std::memcpy(entry.data(), &header, sizeof header);
        points.push_back(point_after(header));
        entries.push_back(std::move(entry));
        return entries.back();
    }
};
const GoodLog& good_log() {
    static const GoodLog made;
    return made;
}

template <class T>
T load_at(const std::string& file, size_t place) {
    T value{};
    if (place + sizeof value <= file.size()) std::memcpy(&value, file.data() + place, sizeof value);
    return value;
}
template <class T>
void store_at(std::string& file, size_t place, const T& value) {
    std::memcpy(file.data() + place, &value, sizeof value);
}

/// One change: bits of a byte, zeros, or a block that was written in another one's place.
void change(std::map<std::string, std::string>& files, ByteReader& reader) {
    auto file = files.begin();
    std::advance(file, reader.get<uint8_t>() % files.size());
    std::string& bytes = file->second;
    const size_t blocks = bytes.size() / kBlockBytes, block = reader.get<uint8_t>() % blocks * kBlockBytes;
    const size_t within = reader.get<uint16_t>() % kBlockBytes;
    const auto how = reader.get<uint8_t>(), value = reader.get<uint8_t>();
    if (how % 4 == 0) {
        std::memset(bytes.data() + block, 0, kBlockBytes);
    } else if (how % 4 == 1) {
        std::memcpy(bytes.data() + block, bytes.data() + value % blocks * kBlockBytes, kBlockBytes);
    } else {
        bytes[block + within] = static_cast<char>(bytes[block + within] ^ value);
    }
}

void put_checksums_right(const std::string& path, std::string& file) {
    auto header = load_at<SegmentHeader>(file, 0);
    sign(header);
    store_at(file, 0, header);
    const SegmentKey key{segment_id_of(path.substr(path.rfind('/') + 1)).value_or(0), header.salt};
    auto seal = load_at<Seal>(file, kSealAt);
    if (seal.magic_version == kSealMagic) {
        if (seal.footer_offset < file.size() && seal.footer_bytes <= file.size() - seal.footer_offset)
            seal.footer_checksum =
                checksum(as_bytes(file).subspan(seal.footer_offset, seal.footer_bytes), key.salt);
        sign(seal, key);
        store_at(file, kSealAt, seal);
    }
    for (size_t at = kFirstGroupAt; at < file.size(); at += kBlockBytes) {
        auto group = load_at<GroupHeader>(file, at);
        if (group.magic_version != kGroupMagic) continue;
        sign(group, key);
        store_at(file, at, group);
    }
}

/// Reads on from the first entry; what comes is the good log's, or at least follows (`known`: which).
void read_all(io::Files& files, bool known) {
    auto walk = LogWalk::open(files, options());
    if (!walk) return;
    const GoodLog& log = good_log();
    if (known) {
        const uint64_t last = raw(walk->found().last.index);
        require(last < log.points.size() && log.points[last] == walk->found().last);
        for (const Hole& hole : walk->files().holes) {
            require(raw(hole.to.index) < log.points.size() && log.points[raw(hole.from.index)] == hole.from);
            require(log.points[raw(hole.to.index)] == hole.to);
        }
    }
    for (int reads = 0; reads < 400; ++reads) {
        auto bytes = walk->next(4096);
        if (!bytes || bytes->empty()) return;
        EntryCursor cursor(bytes->view());
        while (const EntryHeader* header = cursor.next())
            require(!known ||
                    (header->index < log.points.size() && header->chain == log.points[header->index].chain &&
                     check_body(*header, cursor.body()) == EntryFault::none));
    }
}

/// Mends each hole of a sealed segment, with what stood there.
bool mend(io::Files& files, const Found& found, const Hole& hole) {
    const GoodLog& log = good_log();
    for (size_t i = 0; i + 1 < found.segments.size(); ++i) {
        if (found.segments[i].key.id != hole.segment_id) continue;
        MendJob job;
        job.dir = "/wal";
        job.segment = found.segments[i];
        job.next = {found.segments[i + 1].key.id, found.segments[i + 1].base};
        job.hole = hole;
        for (const Hole& other : found.holes)
            if (other.segment_id == hole.segment_id) job.known.push_back(other);
        for (uint64_t at = raw(hole.from.index) + 1; at <= raw(hole.to.index) && at < log.entries.size();
             ++at)
            job.entries.push_back(Slice::copy_of(log.entries[at]));
        for (int steps = 0; !job.finished; ++steps) {
            require(steps < 100);
            job.run(files);
        }
        return job.failure.empty();
    }
    return false;
}

void check_log(ByteReader& reader, bool known) {
    std::map<std::string, std::string> content = good_log().files;
    for (int changes = 0; changes < 16 && !reader.done() && reader.ok(); ++changes) change(content, reader);
    fakes::MemoryFiles files;
    files.make_dir("/wal");
    for (auto& [path, bytes] : content) {
        if (!known) put_checksums_right(path, bytes);
        files.put(path, bytes);
    }
    read_all(files, known);
    Recovered recovered;
    auto found = recover(files, options(), recovered, Mend::no);
    if (!found) return;
    for (const Hole& hole : found->holes) {
        if (!mend(files, *found, hole) || !known) continue;
        Recovered again;
        auto after = recover(files, options(), again, Mend::no);
        require(after.has_value() && again.last == recovered.last && again.hard == recovered.hard);
        for (const Hole& left : after->holes) require(left.from != hole.from);
    }
    read_all(files, known);
    Recovered mended;  // as a start does
    auto started = recover(files, options(), mended, Mend::yes);
    require(!known || (started.has_value() && mended.last == recovered.last));
}

/// A header and what follows it, its chain and its checksums put right as far as there are entries.
void check_group(ByteReader& reader) {
    const ByteView given = reader.rest();
    if (given.size() < sizeof(GroupHeader)) return;
    std::string file(kFirstGroupAt, '\0');
    file.append(as_text(given));
    file.resize(kFirstGroupAt + whole_blocks(given.size()));
    auto header = load_at<GroupHeader>(file, kFirstGroupAt);
    header.magic_version = kGroupMagic;
    header.segment_id = kKey.id;
    header.file_offset = kFirstGroupAt;
    ScanPoint at{kFirstGroupAt, header.group_number / 2, header.before};
    LogPoint point = header.before;
    size_t place = kFirstGroupAt + sizeof header;
    for (uint32_t i = 0; i < header.entry_count && place + kEntryHeaderBytes <= file.size(); ++i) {
        auto entry = load_at<EntryHeader>(file, place);
        const size_t body = std::min<size_t>(entry.body_bytes, file.size() - place - kEntryHeaderBytes);
        entry.body_checksum = checksum(as_bytes(file).subspan(place + kEntryHeaderBytes, body));
        entry.chain = chain_after(point.chain, entry);
        store_at(file, place, entry);
        point = point_after(entry);
        place += kEntryHeaderBytes + body;
    }
    header.chain_after = point.chain;
    if (header.group_bytes % 2 == 0) header.group_bytes = static_cast<uint32_t>(file.size() - kFirstGroupAt);
    sign(header, kKey);
    store_at(file, kFirstGroupAt, header);
    fakes::MemoryFiles files;
    files.put("/a", file);
    OpenFile opened(files, "/a", io::OpenMode::read);
    FileWindow window(files, opened.id(), 1000);
    SegmentIndex index;
    const GroupSeen seen = read_group(window, kKey, at, &index);
    if (seen.place != Place::good) return;
    require(raw(seen.after.index) == raw(header.before.index) + header.entry_count && seen.after == point);
    require(index.configs.size() <= header.entry_count && index.runs.size() <= header.entry_count + 1);
    auto later = find_later_group(window, kKey, kFirstGroupAt - kBlockBytes, UINT64_MAX);
    require(later && later->file_offset == kFirstGroupAt);
}

void check_footer(ByteReader& reader) {
    const ByteView bytes = reader.rest();
    const auto footer = decode_footer(bytes, kKey, {kFirstGroupAt, bytes.size(), checksum(bytes, kKey.salt)});
    if (!footer) return;
    const std::vector<std::byte> again = encode_footer(kKey.id, footer->end, footer->index);
    require(again.size() == bytes.size() && footer_bytes(footer->index) == bytes.size());
    require(
        decode_footer(again, kKey, {kFirstGroupAt, again.size(), checksum(again, kKey.salt)}).has_value());
    (void)mark_for_index(footer->index.marks, Index{5});
    (void)mark_for_lsn(footer->index.marks, Lsn{5});
    (void)mark_for_time(footer->index.marks, 5);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ByteReader reader({reinterpret_cast<const std::byte*>(data), size});
    switch (reader.get<uint8_t>()) {
        case 0: check_log(reader, true); break;
        case 1: check_log(reader, false); break;
        case 2: check_group(reader); break;
        case 3: check_footer(reader); break;
        default: break;
    }
    return 0;
}
