// Fetches files of another member's snapshot into this one's snapshot folder, one after the other, part by
// part, going on where an earlier connection, process or source left off. A file that isn't whole yet is
// NAME.TAG.part, where the tag says whose bytes they are: members may pack equal content differently. Knows
// nothing of what the files mean (daemon/installer.h does). Loop thread only; files are written on
// Lane::transfer.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "daemon/peers.h"
#include "proto/peer.h"

namespace raftd::daemon {

class FileFetch {
public:
    static constexpr size_t kPartsMax = 8;  // asked for and not yet written: what a kill may cost

    /// `tag`: of the jobs that write parts; their numbers begin at 1.
    FileFetch(Context& context, Peers& peers, TokenTag tag = TokenTag::fetch)
        : context_(context), peers_(peers), token_tag_(tag) {}

    /// How a file, or the connection, ended.
    struct Ended {
        enum class How : uint8_t {
            manifest,  // `text` is it
            file,      // whole, under PATH.part of the last part; `path` is that name
            gone,      // the source has it no more, or another one: begin with the manifest
            lost,      // the connection ended, or stood still
            failed,    // this disk, or nonsense from the other end; `text` says what
        };
        How how;
        std::string text, path;
    };

    /// Connects; ends what was under way. Requires: the peer is linked.
    void dial(NodeId from);
    bool connected() const { return up_; }
    bool busy() const { return manifest_asked_ || !name_.empty(); }
    NodeId source() const { return source_; }
    void hang_up();
    /// Requires: connected and not busy.
    void ask_manifest();
    /// `parts`: sizes of the unfinished files in the folder, by name; the one of this file goes on.
    void fetch(std::string name, const std::map<std::string, uint64_t>& parts);
    std::optional<Ended> take_ended();

    void bulk(const Peers::Bulk& change);
    void frame(io::ConnId conn, const io::Frame& frame);
    void completed(io::Completed& done);
    Instant deadline() const;
    void tick(Instant now);

    uint64_t bytes_fetched() const { return bytes_fetched_; }
    /// Of the file under way, on this disk.
    uint64_t file_bytes_written() const { return written_upto_; }
    /// Bytes came in since this was asked last: counts as hearing from the source.
    bool take_heard() { return std::exchange(heard_, false); }

private:
    struct WriteJob;
    void ask_more();
    void ask(uint64_t offset, uint64_t tag, std::string_view name, uint32_t bytes_max);
    void part(const proto::FilePart& part, const Slice& bytes);
    void first_part(const proto::FilePart& part);
    void end(Ended::How how, std::string text = {});
    std::string part_path() const;
    bool held_back() const;  // by the rate alone
    Duration patience() const;
    uint32_t part_bytes() const { return context_.options.transfer_part_bytes; }

    Context& context_;
    Peers& peers_;
    const TokenTag token_tag_;
    NodeId source_{};
    io::ConnId conn_ = io::kNoConn;
    bool up_ = false, heard_ = false, manifest_asked_ = false;
    bool probing_ = false;                   // the first answer is only to say which file it is
    std::string name_;                       // of the file being fetched; empty: none
    std::map<std::string, uint64_t> parts_;  // of this file, by tag: what is there of it
    uint64_t tag_ = 0, file_bytes_ = 0;      // tag 0: the first part hasn't come
    uint64_t asked_upto_ = 0, got_upto_ = 0, written_upto_ = 0;
    std::deque<uint64_t> requests_;  // asked for, oldest first
    uint64_t request_last_ = 0, jobs_ = 0, generation_ = 0;
    size_t writes_ = 0;  // under way
    uint64_t bytes_fetched_ = 0;
    Instant moved_at_{};
    Instant rate_at_{};  // the transfer's rate allows the next part then
    std::deque<Ended> ended_;
};

}  // namespace raftd::daemon
