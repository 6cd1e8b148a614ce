// The running log behind wal::Wal: one group in flight, everything newer waits in `pending_` and merges.
// Write path: log.cpp; rolls, spares, removal: roll.cpp; damage: holes.cpp;
// reads: reads.cpp. Loop thread only, never waits.
//
// Order on the disk's FIFO lane (at most one operation of this log is there at a time):
//   group            write + sync; only then the next group, so a later group witnesses every earlier one
//   roll, 1st        header of the spare + sync        (the name was synced when the spare was made)
//         2nd        footer of the old + sync
//         3rd        seal of the old + sync            Durable: from here on the new file is the log's end
//         then       groups into the new file
#pragma once

#include <deque>
#include <map>

#include "wal/marks.h"
#include "wal/mend.h"
#include "wal/pending.h"
#include "wal/reader.h"
#include "wal/recovery.h"

namespace raftd::wal {

inline constexpr Duration kRetryAfter = milliseconds(100);       // of a write or removal that was refused
inline constexpr Duration kSpareRetryAfter = milliseconds(500);  // of the next segment's creation

class Log final : public Wal {
public:
    /// `active` and `spare` are open for the disk.
    Log(io::World& world, const Options& options, Found found, io::FileId active, io::FileId spare);

    void write(const WriteRequest& request) override;
    bool completed(io::Completed& done) override;
    std::optional<WriteId> take_durable() override;
    void read(const ReadRequest& request, uint64_t cookie) override;
    std::optional<ReadResult> take_read() override;
    ReadResult read_now(const ReadRequest& request) override;
    std::optional<Index> cut_since(uint64_t& seen) const override;
    Instant deadline() const override;
    void tick(Instant now) override;
    bool closed() const override;
    void close_soon() override;
    void reset(const LogPoint& base) override;
    void drop_below(const LogPoint& point) override;
    LogPoint droppable(Index upto, uint64_t keep_bytes) const override;
    const std::vector<Hole>& holes() const override { return holes_; }
    void survey(Index index) override;
    void mend(const Hole& hole, std::vector<Slice> entries) override;
    bool room_to_mend(const Hole& hole) const override;
    bool mending() const override { return mending_.has_value(); }
    std::optional<Mended> take_mended() override { return std::exchange(mended_, std::nullopt); }
    LogPoint base() const override;
    std::string file_of(Index index) const override;
    std::optional<Instant> oldest_unsynced() const override;
    bool no_room() const override { return no_room_; }
    uint64_t bytes() const override;
    const Counters& counters() const override { return counters_; }

private:
    /// What a completion belongs to; in the token below the tag.
    enum class Op : uint8_t {
        group = 1,
        roll_header,
        roll_footer,
        roll_seal,
        create,
        discard,
        drop,
        read,
        survey,
        mend
    };
    io::Token token(Op op) {
        return io::Token{options_.token_tag << 56 | uint64_t(op) << 48 | (++tokens_ & kCountMask)};
    }
    static constexpr uint64_t kCountMask = (1ull << 48) - 1;

    /// A write that was asked for; durable once the log up to `last` and the hard state are.
    struct Waiting {
        WriteId id;
        Index last;
        Instant asked;
    };
    /// The one operation on the FIFO lane, with the same bytes for every try.
    struct Lane {
        bool busy = false;          // given to the disk
        Instant retry_at = kNever;  // it was refused and waits for its next try
        Op op{};
        io::FileId file = io::kNoFile;
        uint64_t offset = 0;
        std::vector<Slice> parts;
        bool idle() const { return !busy && retry_at == kNever; }
    };
    struct Group {
        GroupHeader header;
        std::vector<Piece> pieces;
        LogPoint end;
        WriteId covers{};
        bool closing = false;
    };
    /// What is on disk behind `point` must go, so a roll is due.
    struct Cut {
        LogPoint point;
        bool begins_anew = false;  // and all before it
    };
    struct Roll {
        enum class Stage : uint8_t { spare, header, footer, seal } stage = Stage::spare;
        uint64_t file_bytes_min = 0;  // of the new segment
        Segment next;
        FooterPlace footer;
        bool begins_anew = false;
    };
    struct Spare {
        uint64_t id = 0, bytes = 0;
        io::FileId file = io::kNoFile;
        enum class State : uint8_t { none, creating, ready, discarding } state = State::none;
    };

    // log.cpp: the write path
    void take_cut(const LogPoint& before);
    void cut_on_disk();
    void advance();
    uint64_t room() const;
    bool plan_group();
    void submit_group(bool closing);
    void group_done();
    void give_to_lane(Op op, io::FileId file, uint64_t offset);
    void lane_done(io::Completed& done);
    void arm_closing();
    NumberedHard next_hard();

    // roll.cpp: segments
    void begin_roll(uint64_t file_bytes_min);
    void continue_roll();
    void write_roll_header();
    void write_footer();
    void write_seal();
    void finish_roll();
    void want_spare();
    void spare_done(io::Completed& done);
    void drop_more();
    void drop_done(int error);

    // holes.cpp
    void survey_done(io::Completed& done);
    void learn(const std::vector<Hole>& found);
    void advance_mending();
    void mend_done(io::Completed& done);
    void end_mending(std::string failure);
    void clip_holes();
    const Segment* segment_of(uint64_t id) const;
    Segment* segment_of(uint64_t id);
    Successor successor_of(const Segment& segment) const;
    bool holed(const Segment& segment) const;
    bool mends(uint64_t id) const { return mending_ && mending_->begun && mending_->hole.segment_id == id; }

    // reads.cpp
    std::unique_ptr<ReadJob> make_read(const ReadRequest& request);
    void read_done(io::Completed& done);
    void cut_reads(Index last);
    void note_file_cut(Index first);

    Segment& active() { return segments_.back(); }
    const Segment& active() const { return segments_.back(); }

    io::World& world_;
    const Options options_;
    Counters counters_;

    std::vector<Segment> segments_;  // the last one is active
    SegmentIndex active_index_;
    io::FileId active_file_;
    uint64_t next_segment_id_;

    // Invariant: pending_.begin() is the end of what was given to the lane, or the point of `cut_`.
    Pending pending_;
    std::optional<Cut> cut_;
    std::deque<Waiting> waiting_;
    HardState hard_;             // newest asked for
    NumberedHard hard_written_;  // newest given to the lane
    WriteId newest_id_{};
    WriteId durable_{}, durable_taken_{};

    Lane lane_;
    Group group_;
    Slice header_bytes_, zeros_;  // reused by every group
    std::optional<Roll> roll_;
    Spare spare_;
    Instant spare_retry_at_ = kNever;
    bool no_room_ = false;

    bool last_group_closes_;  // the last group needs no witness
    bool closing_soon_ = false;
    Instant closing_at_ = kNever;

    LogPoint drop_point_;
    std::deque<uint64_t> void_ids_;  // segments of a log that was replaced, oldest first
    uint64_t dropping_id_ = 0;       // file to be removed; tried again when that fails
    bool dropping_ = false;          // its removal is under way
    Instant drop_retry_at_ = kNever;

    struct Mending {
        Hole hole;
        std::vector<Slice> entries;
        bool begun = false;  // the job is under way; before it the segment has to be sealed
    };
    std::vector<Hole> holes_;  // in force, in order
    std::optional<Mending> mending_;
    std::optional<Mended> mended_;
    uint64_t surveying_id_ = 0;  // segment that is being read again

    struct ReadUnderWay {
        ReadRequest request;
        uint64_t cookie;
        Index cut_after{UINT64_MAX};  // entries behind this were cut since it began
    };
    std::map<uint64_t, ReadUnderWay> reads_;  // by token
    std::deque<ReadResult> reads_done_;
    MarkCache marks_;
    /// Number of each cut of entries in files (from 1), and the first entry cut; both rise. Of older ones
    /// only the lowest is kept, under the number of a later one.
    std::deque<std::pair<uint64_t, Index>> file_cuts_;
    uint64_t file_cuts_count_ = 0;
    uint64_t tokens_ = 0;
};

}  // namespace raftd::wal
