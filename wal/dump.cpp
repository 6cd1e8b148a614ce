#include "wal/dump.h"

#include <cerrno>
#include <cstring>

#include "base/uuid.h"
#include "wal/scan.h"

namespace raftd::wal {
namespace {

constexpr uint64_t kDumpAheadBytes = 1u << 20;

/// One line: `kind at=8192 key=value`, or the same as a JSON object.
class Line {
public:
    Line(std::string& out, DumpForm form, const char* kind, uint64_t at)
        : out_(out), json_(form == DumpForm::jsonl) {
        out_ += json_ ? "{\"kind\":\"" : "";
        out_ += kind;
        out_ += json_ ? "\"" : "";
        (*this)("at", at);
    }
    ~Line() { out_ += json_ ? "}\n" : "\n"; }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    Line& operator()(const char* key, uint64_t value) { return put(key, std::to_string(value), false); }
    template <Tagged E>
    Line& operator()(const char* key, E value) {
        return (*this)(key, raw(value));
    }
    /// Texts are made here and hold nothing that would need an escape, but a path.
    Line& operator()(const char* key, const std::string& value) { return put(key, value, true); }
    Line& point(const LogPoint& point) {
        return (*this)("index", point.index)("term", point.term)("chain", to_hex(point.chain))(
            "lsn_next", point.lsn_next)("time_ms", point.timestamp_ms);
    }

private:
    Line& put(const char* key, const std::string& value, bool text) {
        out_ += json_ ? ",\"" : " ";
        out_ += key;
        out_ += json_ ? "\":" : "=";
        const bool quoted = text && (json_ || value.find(' ') != std::string::npos);
        if (quoted) out_ += '"';
        for (char c : value) {
            if (quoted && (c == '"' || c == '\\')) out_ += '\\';
            out_ += c;
        }
        if (quoted) out_ += '"';
        return *this;
    }
    std::string& out_;
    bool json_;
};

class Dump {
public:
    Dump(FileWindow& window, DumpForm form, uint64_t id) : window_(window), form_(form), id_(id) {}

    Dumped run() {
        SegmentHeader header;
        switch (form_of_header(window_.at(0, kBlockBytes), id_, header)) {
            case Form::zero:
                dumped_.unused = true;
                line("unused", 0)("id", id_)("file_bytes", window_.file_bytes());
                return finished();
            case Form::too_new:
                damage(0, Part::header, "the header was written by a newer version");
                return finished();
            case Form::bad:
                damage(0, Part::header,
                       "the segment's header is damaged: groups can't be checked without its salt");
                list_unchecked();
                return finished();
            case Form::good: break;
        }
        key_ = {id_, header.salt};
        show_header(header);
        show_seal();
        show_groups(header);
        show_end();
        if (window_.error() != 0)
            damage(window_.error_offset(), Part::file,
                   std::string("can't be read: ") + std::strerror(window_.error()));
        return finished();
    }

private:
    Dumped finished() {
        if (form_ == DumpForm::none) dumped_.text.clear();
        return std::move(dumped_);
    }
    Line line(const char* kind, uint64_t at) {
        if (form_ == DumpForm::none) dumped_.text.clear();
        return {dumped_.text, form_, kind, at};
    }
    void damage(uint64_t at, Part part, const std::string& what) {
        ++dumped_.damages;
        dumped_.found.push_back({at, part, at_.log.index, what});
        line("damage", at)("what", what);
    }

    void show_header(const SegmentHeader& header) {
        line("segment", 0)("id", header.segment_id)("cluster", to_hex(header.cluster_id))(
            "incarnation", to_hex(header.incarnation))("before_segment", header.before_segment_id)(
            "before_end", header.before_end)("hard_number", header.hard.number)(
            "hard_term", header.hard.state.term)("vote", header.hard.state.vote)(
            "made_bytes", header.file_bytes)("file_bytes", window_.file_bytes())("begins_anew",
                                                                                 header.begins_anew())
            .point(header.base);
        if (window_.file_bytes() < header.file_bytes)
            damage(window_.file_bytes(), Part::file, "the file is shorter than made");
    }

    void show_seal() {
        Seal seal;
        switch (form_of_seal(window_.at(kSealAt, kBlockBytes), key_, seal)) {
            case Form::zero: return;
            case Form::good: break;
            default: damage(kSealAt, Part::seal, "the seal is damaged or torn"); return;
        }
        known_end_ = seal.end_offset;
        footer_ = {seal.footer_offset, seal.footer_bytes, seal.footer_checksum};
        line("seal", kSealAt)("end", seal.end_offset)("last_index", seal.last_index)(
            "last_group", seal.last_group)("footer", seal.footer_offset)("footer_bytes", seal.footer_bytes)(
            "next_segment", seal.next_segment_id)("next_index", seal.next_index_first);
    }

    void show_groups(const SegmentHeader& header) {
        at_.log = header.base;
        while (known_end_ == 0 || at_.offset < known_end_) {
            GroupSeen seen = read_group(window_, key_, at_, &index_);
            if (seen.place == Place::good) {
                show_group(seen.header);
                at_ = {at_.offset + seen.header.group_bytes, seen.header.group_number, seen.after};
                continue;
            }
            std::optional<GroupHeader> later = find_later_group(
                window_, key_, at_.offset, known_end_ != 0 ? known_end_ : window_.file_bytes());
            if (!later && known_end_ == 0) return show_torn(seen);
            whole_ = false;
            show_bad(seen, later);
            if (!later) return;
            at_ = {later->file_offset, later->group_number - 1, later->before};
        }
    }

    void show_group(const GroupHeader& header) {
        line("group", header.file_offset)("number", header.group_number)("bytes", header.group_bytes)(
            "first", header.before.index + 1)("entries", uint64_t{header.entry_count})(
            "durable_group", header.durable_group)("hard_number", header.hard.number)(
            "hard_term", header.hard.state.term)("vote", header.hard.state.vote)("chain_after",
                                                                                 to_hex(header.chain_after));
    }

    void show_bad(const GroupSeen& seen, const std::optional<GroupHeader>& later) {
        if (seen.place == Place::bad_entries) {
            show_group(seen.header);
            damage(seen.fault_offset, Part::group, std::string("entry: ") + text_of(seen.fault));
        } else if (seen.place == Place::misplaced) {
            show_group(seen.header);
            damage(at_.offset, Part::group, "the group doesn't follow the one before it");
        } else {
            damage(at_.offset, later && follows(*later, at_) ? Part::marker : Part::group,
                   seen.place == Place::zero ? "a group is missing" : "the group's header is damaged");
        }
    }

    void show_torn(const GroupSeen& seen) {
        if (seen.place == Place::zero) return;
        dumped_.torn_at = at_.offset;
        line("torn", at_.offset)("what",
                                 std::string("the last group was being written, or is damaged and nothing "
                                             "witnesses it"));
    }

    void show_end() {
        uint64_t dirty = 0;
        if (known_end_ == 0)
            for (uint64_t at = at_.offset; at < window_.file_bytes(); at += kBlockBytes)
                dirty += !all_zero(window_.at(at, kBlockBytes));
        line("end", at_.offset)("groups", at_.last_group)("nonzero_blocks_behind", dirty).point(at_.log);
        if (footer_.offset == 0) return;
        const std::optional<Footer> footer = read_footer(window_, key_, footer_);
        if (!footer) return damage(footer_.offset, Part::footer, "the footer is damaged");
        line("footer", footer_.offset)("marks", footer->index.marks.size())(
            "term_runs", footer->index.runs.size())("memberships", footer->index.configs.size());
        // Marks may stand elsewhere: they were set as pieces came.
        const bool same = footer->end == at_.log && footer->index.runs == index_.runs &&
                          footer->index.configs == index_.configs;
        if (whole_ && !same)
            damage(footer_.offset, Part::footer, "the footer doesn't say what the groups hold");
    }

    void list_unchecked() {
        for (uint64_t at = kFirstGroupAt; at < window_.file_bytes(); at += kBlockBytes) {
            ByteView block = window_.at(at, kBlockBytes);
            if (!looks_like_group(block, id_, at)) continue;
            GroupHeader header;
            std::memcpy(&header, block.data(), sizeof header);
            show_group(header);
        }
    }

    FileWindow& window_;
    DumpForm form_;
    uint64_t id_;
    SegmentKey key_;
    uint64_t known_end_ = 0;
    FooterPlace footer_;
    ScanPoint at_;
    SegmentIndex index_;  // of the groups seen
    bool whole_ = true;   // no group was passed over
    Dumped dumped_;
};

}  // namespace

Result<Dumped> dump_segment(io::Files& files, const std::string& path, DumpForm form) {
    OpenFile file(files, path, io::OpenMode::read);
    if (!file)
        return error(file.error() == ENOENT ? Errc::not_found : Errc::io,
                     "can't open " + path + ": " + std::strerror(file.error()));
    FileWindow window(files, file.id(), kDumpAheadBytes);
    // The number is in the name; a copy under another name is taken at its header's word.
    const size_t slash = path.rfind('/');
    std::optional<uint64_t> id = segment_id_of(path.substr(slash == std::string::npos ? 0 : slash + 1));
    SegmentHeader header{};
    ByteView block = window.at(0, sizeof header);
    if (!id && block.size() == sizeof header) {
        std::memcpy(&header, block.data(), sizeof header);
        id = header.segment_id;
    }
    return Dump(window, form, id.value_or(0)).run();
}

}  // namespace raftd::wal
