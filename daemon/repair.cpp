#include "daemon/repair.h"

#include <algorithm>

#include "base/check.h"
#include "wal/format.h"

namespace raftd::daemon {
namespace {

constexpr Duration kRepairAgainAfter = milliseconds(200);
constexpr uint32_t kRepairAgainDoublings = 5;  // 0.2 s to 6.4 s between rounds of asking everybody
constexpr uint32_t kHopelessRounds = 6;        // in which all others said no, until it is believed
constexpr Duration kSurveyApart = seconds(1);
constexpr uint64_t kPieceBytes = 1u << 20;

}  // namespace

void tell_holes(raft::Health& health, const std::vector<wal::Hole>& holes) {
    health.hole_first = health.known_from = Index{};
    if (holes.empty()) return;
    health.hole_first = holes.front().from.index + 1;
    for (const wal::Hole& hole : holes)
        if (hole.at_start && !hole.terms_known()) health.known_from = hole.to.index;
}

Repair::Repair(Context& context, Replica& replica, wal::Wal& wal, LogReader& reader, Peers& peers,
               const Compaction& compaction)
    : context_(context),
      replica_(replica),
      wal_(wal),
      reader_(reader),
      peers_(peers),
      fetch_(context, peers),
      files_(context, peers, reader, compaction) {}

void Repair::turn(Index committed) {
    committed_ = committed;
    files_.turn();
    while (auto name = files_.take_repaired()) whole_files_.push_back("snapshot/" + *name);
    survey();
    if (fetch_.deadline() <= context_.now) fetch_.tick(context_.now);
    if (auto done = wal_.take_mended()) mended(*done);
    if (hole_ && stage_ != Stage::mending && !same_hole()) {  // cut off, or below a snapshot now
        fetch_.hang_up();
        (void)fetch_.take_ended();
        hole_.reset();
        search_.reset();
        if (stage_ == Stage::fetching) stage_ = Stage::idle;
    }
    if (auto ended = fetch_.take_ended(); ended && stage_ == Stage::fetching) fetched(std::move(*ended));
    if (stage_ != Stage::idle || wal_.holes().empty() || context_.now < again_at_ || context_.stopping)
        return;
    if (hole_) return fetch_next();
    if (const wal::Hole* next = next_hole()) return begin(*next);
    wait_longer();
}

/// Nothing is fetched that couldn't be written: the first hole of a segment that there is room for.
const wal::Hole* Repair::next_hole() {
    const std::vector<wal::Hole>& holes = wal_.holes();
    auto next = std::find_if(holes.begin(), holes.end(),
                             [this](const wal::Hole& hole) { return wal_.room_to_mend(hole); });
    const bool room = next != holes.end();
    if (!room && !no_room_)
        context_.log(LogLevel::warn, "repair_waits")("file", file_of(holes.front()))("why", "no room");
    no_room_ = !room;
    return room ? &*next : nullptr;
}

void Repair::wait_longer() {
    again_at_ = context_.now + kRepairAgainAfter * (1 << std::min(failures_++, kRepairAgainDoublings));
}

/// What a reader stumbled over is looked at from end to end, once in a while: it may be read again and again.
void Repair::survey() {
    std::set<Index>& seen = reader_.damaged_entries();
    if (context_.now < survey_at_) return;
    while (!seen.empty()) {
        const Index index = *seen.begin();
        const bool known = std::any_of(wal_.holes().begin(), wal_.holes().end(), [&](const wal::Hole& hole) {
            return index > hole.from.index && index <= hole.to.index;
        });
        if (!known && wal_.mending()) return;
        seen.erase(seen.begin());
        if (known) continue;
        survey_at_ = context_.now + kSurveyApart;
        return wal_.survey(index);
    }
}

bool Repair::same_hole() const {
    return std::any_of(wal_.holes().begin(), wal_.holes().end(), [this](const wal::Hole& hole) {
        return hole.from == hole_->from && hole.to == hole_->to;
    });
}

Instant Repair::deadline() const {
    Instant at = std::min(fetch_.deadline(), files_.deadline());
    if (!reader_.damaged_entries().empty())
        at = std::min(at, std::max(survey_at_, context_.now + milliseconds(20)));
    if (stage_ == Stage::mending && !wal_.mending()) return context_.now;  // it ended at once
    if (stage_ == Stage::idle && !wal_.holes().empty())
        at = std::min(at, std::max(again_at_, context_.now + milliseconds(20)));
    return at;
}

void Repair::begin(const wal::Hole& hole) {
    hole_ = hole;
    search_.reset();
    cannot_.clear();
    furthest_ = hole.from;
    rounds_ = hopeless_ = 0;
    began_at_ = context_.now;
    source_ = {};
    stretch_.emplace(hole.from, hole.to);
    context_.log(LogLevel::warn, "repair_begun")("first", raw(hole.from.index) + 1)(
        "last", raw(hole.to.index))("what", hole.what);
    from_memory();
}

/// What is at hand: the log buffer, then this member's own archives (and what can be read of the segment).
void Repair::from_memory() {
    std::vector<Slice> slices;
    const Index first = stretch_->at.index + 1;
    if (reader_.in_memory(first, hole_->to.index, UINT64_MAX, slices)) {
        bool good = true;
        for (const Slice& slice : slices) good = good && stretch_->take(slice);
        if (good && stretch_->whole()) return mend(std::move(*stretch_));
        stretch_.emplace(hole_->from, hole_->to);
    }
    stage_ = Stage::own;
    reader_.from_files(
        {wal::ReadRequest::By::index, raw(stretch_->at.index) + 1, kPieceBytes, hole_->to.index},
        {.who = ReadFor::Who::repair});
}

void Repair::read_done(const wal::ReadResult& result) {
    if (stage_ != Stage::own) return;
    stage_ = Stage::idle;
    if (!hole_) return;
    const bool good = result.code == wal::ReadCode::ok && stretch_->take(result.entries);
    if (!good) return fetch_next();
    if (stretch_->whole()) return mend(std::move(*stretch_));
    stage_ = Stage::own;
    reader_.from_files(
        {wal::ReadRequest::By::index, raw(stretch_->at.index) + 1, kPieceBytes, hole_->to.index},
        {.who = ReadFor::Who::repair});
}

/// Who can be asked: also one that no configuration names which is known here.
std::vector<NodeId> Repair::others() const { return peers_.sources(); }

/// One member after the other, each once a round from every place that one of them got to.
void Repair::fetch_next() {
    if (!search_) {
        search_.emplace(Stretch(hole_->from, hole_->to));
        if (stretch_) search_->gave(context_.dir.identity.id, *stretch_);
        sure_ = true;
    }
    if (auto next = search_->next(others())) {
        source_ = *next;
        stage_ = Stage::fetching;
        return fetch_.begin(*next, search_->stretch());
    }
    bool all = sure_;
    for (const auto& [id, info] : context_.members)
        if (id != context_.dir.identity.id && !peers_.linked(id)) all = all && cannot_.contains(id);
    if (search_->furthest().index > furthest_.index) furthest_ = search_->furthest();
    search_.reset();
    hopeless_ = all ? hopeless_ + 1 : 0;
    round_over();
}

/// A configuration that stands in a hole may name members that nothing here knows of; but one of them was
/// heard of, since they link before they count, and will link again.
bool Repair::knows_others() const {
    return context_.members.size() > 1 || !others().empty() || !context_.dir.boots.peers.empty();
}

void Repair::round_over() {
    if ((!knows_others() && hopeless_ != 0) || hopeless_ >= kHopelessRounds) give_up();
    again_at_ = context_.now + kRepairAgainAfter * (1 << std::min(rounds_, kRepairAgainDoublings));
    ++rounds_;
}

void Repair::give_up() {
    std::string who;
    for (const auto& [id, why] : cannot_) who += "; " + name_of(id) + ": " + why;
    if (furthest_.index > hole_->from.index)
        who += "; up to " + std::to_string(raw(furthest_.index)) + " they have them";
    const std::string hint =
        cannot_.empty() && knows_others()
            ? "start the other members, which repair this one; when they are gone, "
            : "raftctl member replace gives this member a new data directory; when no member has them, ";
    fatal(ExitCode::damaged, "entries " + std::to_string(raw(furthest_.index) + 1) + " to " +
                                 std::to_string(raw(hole_->to.index)) + " (records " +
                                 std::to_string(raw(furthest_.lsn_next)) + " to " +
                                 std::to_string(raw(hole_->to.lsn_next) - 1) + ") are lost here and " +
                                 "no other member has them: " + hole_->what + who + " (hint: " + hint +
                                 "raftctl recover makes a new cluster of what is left)");
}

void Repair::fetched(EntryFetch::Ended&& ended) {
    stage_ = Stage::idle;
    if (ended.whole) return mend(std::move(ended.stretch));
    context_.log(LogLevel::info, "repair_refused")("by", name_of(source_))("why", ended.why)(
        "first", raw(hole_->from.index) + 1)("last", raw(hole_->to.index));
    if (ended.definite) cannot_[source_] = ended.why;
    sure_ = sure_ && cannot_.contains(source_);
    search_->gave(source_, std::move(ended.stretch));
    fetch_next();
}

void Repair::mend(Stretch stretch) {
    stage_ = Stage::mending;
    stretch_ = std::move(stretch);
    wal_.mend(*hole_, stretch_->pieces);
}

void Repair::mended(const wal::Wal::Mended& done) {
    CHECK(stage_ == Stage::mending);
    stage_ = Stage::idle;
    stretch_->pieces.clear();
    const bool still = same_hole();
    if (!done.failure.empty()) {
        wait_longer();
        context_.log(LogLevel::warn, "repair_failed")("why", done.failure);
        hole_.reset();
        return;
    }
    if (!still) {
        std::vector<ConfigAt> configs;
        for (const Configuration& config : stretch_->configs)
            configs.push_back({config.index, config.membership});
        const Index first = hole_->from.index + 1, last = hole_->to.index;
        // It may have been cut off meanwhile, and other entries stand there.
        if (first > replica_.core().view().base.index && replica_.core().term_at(last) == hole_->to.term) {
            replica_.step(context_.now, raft::ev::Mended{first, last, stretch_->runs, configs});
            for (Configuration& config : stretch_->configs) replica_.members().insert(std::move(config));
        }
    }
    failures_ = 0;
    ++context_.counters.repaired_holes;
    context_.counters.repaired_entries += hole_->to.index - hole_->from.index;
    const std::string file = file_of(*hole_);
    const bool more = std::any_of(wal_.holes().begin(), wal_.holes().end(), [this](const wal::Hole& other) {
        return other.segment_id == hole_->segment_id;
    });
    if (!more) whole_files_.push_back(file);
    context_.log(LogLevel::info, "repaired")("file", file)("first", raw(hole_->from.index) + 1)(
        "last", raw(hole_->to.index))("from", source_ == NodeId{} ? "here" : name_of(source_))(
        "ms", (context_.now - began_at_).ns / 1'000'000);
    hole_.reset();
    again_at_ = context_.now;
}

std::string Repair::name_of(NodeId id) const {
    auto found = context_.members.find(id);
    return found != context_.members.end() ? found->second.name : std::to_string(raw(id));
}

std::string Repair::file_of(const wal::Hole& hole) const {
    return "wal/" + wal::segment_name(hole.segment_id);
}

std::optional<std::string> Repair::take_whole_file() {
    if (whole_files_.empty()) return std::nullopt;
    std::string file = std::move(whole_files_.back());
    whole_files_.pop_back();
    return file;
}

void Repair::add_alarms(std::vector<std::string>& alarms) const {
    auto add = [&alarms](std::string line) {
        if (std::find(alarms.begin(), alarms.end(), line) == alarms.end()) alarms.push_back(std::move(line));
    };
    for (const std::string& name : files_.names()) add("damaged snapshot/" + name);
    for (const wal::Hole& hole : wal_.holes()) add("damaged " + file_of(hole));
    if (no_room_ && !wal_.holes().empty()) add("repair_waits " + file_of(wal_.holes().front()));
}

}  // namespace raftd::daemon
