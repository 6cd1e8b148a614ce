#include "tests/disk_calls/script.h"

#include <algorithm>
#include <sstream>

#include "base/uuid.h"
#include "snapshot/archive_reader.h"
#include "snapshot/data_dir.h"
#include "snapshot/snapshot_dir.h"
#include "tests/support/archive_log.h"
#include "tests/support/memory_store.h"

namespace raftd::disk_calls {
namespace {

const std::string kDir = std::string(kFolder) + "/data";
const std::string kSnapshots = kDir + "/snapshot";
constexpr Duration kPatience = milliseconds(700);   // that a disk which fails for a moment needs
constexpr size_t kFirstTake = 6, kSecondTake = 12;  // entries

snapshot::Manifest one_member() {
    snapshot::Manifest manifest;
    manifest.cluster_id = {1, 2};
    manifest.cluster_name = "calls";
    manifest.members.push_back({NodeId{1}, "n1", "n1:1", "n1:2",
                                snapshot::genesis_incarnation(manifest.cluster_id, NodeId{1}), false, 0});
    return manifest;
}

std::string text_of(const LogPoint& point) {
    return std::to_string(raw(point.index)) + ":" + std::to_string(point.chain);
}

}  // namespace

/// All entries that are ever written, by the same draws in every run.
struct Script::Plan {
    ArchiveLog log, other;  // other: in place of log's end
    uint64_t cut = 0;       // entries of log that stay
    explicit Plan(const LogPoint& begin) : log(begin) {
        Random random(3);
        log.random(random, 26, 700);
        cut = log.points.size() - 3;
        other = ArchiveLog(log.points[cut - 1]);
        for (int i = 0; i < 6; ++i) other.batch({std::string(900, 'o')}, Term{3});
    }
    static ByteView part(const ArchiveLog& log, size_t from, size_t upto) {
        const uint64_t begin = from == 0 ? 0 : log.ends[from - 1];
        return log.view().subspan(begin, log.ends[upto - 1] - begin);
    }
    static std::vector<LogPoint> points(const ArchiveLog& log, size_t from, size_t upto) {
        return {log.points.begin() + static_cast<std::ptrdiff_t>(from),
                log.points.begin() + static_cast<std::ptrdiff_t>(upto)};
    }
};

Script::Script(io::World& world, std::function<bool()> step, std::function<void(const std::string&)> say)
    : world_(world), step_(std::move(step)), say_(std::move(say)), genesis_(one_member()) {}

wal::Options Script::options() const {
    wal::Options options;
    options.dir = kDir + "/wal";
    options.cluster_id = genesis_.cluster_id;
    options.incarnation = genesis_.members[0].incarnation;
    options.base = base_;
    options.first_segment_bytes = options.segment_bytes = 32 << 10;
    options.disk_free_reserve = 0;
    options.closing_marker_after = seconds(3600);  // when it is asked for, whatever the machine is busy with
    options.salt_seed = 5;
    options.token_tag = 7;
    return options;
}

void Script::handle(io::Event& event) {
    if (wal_ == nullptr) return;
    if (auto* done = std::get_if<io::Completed>(&event.what)) wal_->completed(*done);
    if (std::holds_alternative<io::Woken>(event.what)) wal_->tick(world_.clock.now());
    while (auto id = wal_->take_durable()) {
        durable_ = *id;
        say_("durable " + std::to_string(raw(durable_)));
    }
    if (wal_->deadline() != kNever) world_.clock.wake_at(wal_->deadline());
}

bool Script::settle(const std::function<bool()>& done) {
    const Instant until = world_.clock.now() + kPatience;
    while (!done() && world_.clock.now() < until) {
        if (wal_ != nullptr && wal_->deadline() != kNever) world_.clock.wake_at(wal_->deadline());
        step_();
    }
    return done();
}

Result<void> Script::make() {
    TRY_VOID(snapshot::create(world_.files, kDir, genesis_, NodeId{1}));
    base_ = snapshot::genesis_point(genesis_);
    return wal::create_first(world_.files, options());
}

Result<wal::Recovered> Script::open() {
    TRY(dir, snapshot::open(world_.files, kDir, 7));
    base_ = dir.base;
    say_("boot " + std::to_string(dir.boots.mine.number));
    return wal::open(world_, options());
}

/// Says what is asked for before it is, and waits until it is durable.
bool Script::write(const std::string& name, const LogPoint& before, const std::vector<LogPoint>& points,
                   ByteView entries, HardState hard) {
    asked_ = WriteId{raw(asked_) + 1};
    std::string line = "ask " + std::to_string(raw(asked_)) + " " + std::to_string(raw(hard.term)) + " " +
                       std::to_string(raw(hard.vote)) + " " + std::to_string(raw(before.index));
    for (const LogPoint& point : points) line += " " + text_of(point);
    say_(line);
    std::vector<Slice> slices;
    if (!entries.empty()) slices.push_back(Slice::copy_of(entries));
    const Index last = points.empty() ? before.index : points.back().index;
    wal_->write({asked_, hard, before, last, slices, true});
    if (settle([this] { return durable_ >= asked_; })) return true;
    say_("waits " + name);
    return false;
}

bool Script::write_all(const Plan& plan) {
    const ArchiveLog& log = plan.log;
    HardState hard{Term{1}, NodeId{1}};
    LogPoint at = log.before;
    for (size_t from = 0; from < log.points.size();) {
        const size_t upto = std::min(from + 3, log.points.size());
        hard.term = std::max(hard.term, log.points[upto - 1].term);
        if (!write("entries", at, Plan::points(log, from, upto), Plan::part(log, from, upto), hard))
            return false;
        at = log.points[upto - 1];
        from = upto;
    }
    hard = {hard.term + 1, NodeId{}};
    if (!write("term", at, {}, {}, hard)) return false;
    hard.vote = NodeId{2};
    if (!write("vote", at, {}, {}, hard)) return false;
    hard = {hard.term + 5, NodeId{}};
    const ArchiveLog& other = plan.other;
    return write("cut", other.before, Plan::points(other, 0, 4), Plan::part(other, 0, 4), hard) &&
           write("behind", other.points[3], Plan::points(other, 4, 6), Plan::part(other, 4, 6), hard);
}

Result<void> Script::try_take(const Plan& plan, size_t from, size_t upto) {
    TRY(current, snapshot::read_current(world_.files, kSnapshots));
    if (current.snapshot && raw(current.base().index) >= upto) return {};  // an error came behind the rename
    snapshot::SnapshotManifest manifest = current.snapshot.value_or(snapshot::SnapshotManifest{});
    manifest.cluster_id = genesis_.cluster_id;
    manifest.cluster_name = genesis_.cluster_name;
    manifest.genesis_name = current.genesis_name;
    manifest.genesis_hash = snapshot::genesis_point(genesis_).chain;
    manifest.configs = {{Index{}, snapshot::membership_of(genesis_), genesis_.members}};
    snapshot::ArchiveWriter writer(kSnapshots, from == 0 ? plan.log.before : plan.log.points[from - 1], 1);
    TRY_VOID(writer.add(world_.files, Plan::part(plan.log, from, upto)));
    TRY(info, writer.finish(world_.files));
    manifest.archives.push_back(info);
    manifest.at = info.end;
    snapshot::MemoryStore store;
    for (size_t i = 0; i < upto; ++i) store.keys["k" + std::to_string(i)] = std::string(i * 9, 'v');
    TRY(state, snapshot::write_state_file(world_.files, kSnapshots, manifest.at, store));
    manifest.state = state;
    TRY_VOID(snapshot::put_in_force(world_.files, kSnapshots, manifest));
    say_("snapshot " + text_of(manifest.at));
    base_ = manifest.at;
    TRY(now, snapshot::read_current(world_.files, kSnapshots));
    TRY(removed, snapshot::remove_leftovers(world_.files, kSnapshots, now));
    (void)removed;
    return {};
}

/// As a member does: again, when it is refused.
void Script::take(const Plan& plan, size_t from, size_t upto) {
    for (int tries = 0; tries < 3; ++tries) {
        const Result<void> done = try_take(plan, from, upto);
        if (done) return;
        say_("snapshot_refused " + done.error().what);
    }
}

End Script::work() {
    const Result<void> made = make();
    if (!made) {
        say_("refused " + made.error().what);
        return End::refused;
    }
    say_("made");
    auto opened = open();
    if (!opened) {
        say_("refused " + opened.error().what);
        return End::refused;
    }
    wal_ = std::move(opened->wal);
    const Plan plan(snapshot::genesis_point(genesis_));
    if (!write_all(plan)) return End::waits;
    take(plan, 0, kFirstTake);
    if (raw(base_.index) == kFirstTake) take(plan, kFirstTake, kSecondTake);
    if (raw(base_.index) != 0) wal_->drop_below(base_);
    wal_->close_soon();
    if (!settle([this] { return wal_->closed(); })) return End::waits;
    while (step_()) {  // the next segment is made, old ones are removed
    }
    wal_.reset();
    say_("done");
    return End::done;
}

End Script::files_only() {
    if (!make()) return End::refused;
    const Plan plan(snapshot::genesis_point(genesis_));
    take(plan, 0, kFirstTake);
    take(plan, kFirstTake, kSecondTake);
    return snapshot::open(world_.files, kDir, 9) ? End::done : End::refused;
}

std::vector<LogPoint> Script::read_all(const LogPoint& base, const LogPoint& last) {
    std::vector<LogPoint> points;
    for (Index next = base.index + 1; next <= last.index;) {
        const wal::ReadResult got =
            wal_->read_now({wal::ReadRequest::By::index, raw(next), 1u << 20, Index{UINT64_MAX}});
        if (got.code != wal::ReadCode::ok) return points;
        EntryCursor cursor(got.entries.view());
        while (const EntryHeader* header = cursor.next()) points.push_back(point_after(*header));
        next = got.last + 1;
    }
    return points;
}

namespace {

/// What a run said: each write with the log that it would make, and how far it was acknowledged.
struct Said {
    struct Asked {
        uint64_t id = 0, term = 0, vote = 0, keep = 0;
        std::vector<std::string> log;
    };
    std::vector<Asked> asked{Asked{}};
    uint64_t durable = 0, boots = 0, snapshot = 0;
    bool made = false;

    explicit Said(const std::vector<std::string>& lines) {
        for (const std::string& line : lines) take(line);
    }
    void take(const std::string& line) {
        std::istringstream in(line);
        std::string what;
        in >> what;
        if (what == "made") made = true;
        if (what == "durable") in >> durable;
        if (what == "boot") in >> boots;
        if (what == "snapshot") {
            char colon = 0;
            in >> snapshot >> colon;
        }
        if (what != "ask") return;
        Asked next;
        in >> next.id >> next.term >> next.vote >> next.keep;
        next.log.assign(asked.back().log.begin(),
                        asked.back().log.begin() + static_cast<std::ptrdiff_t>(next.keep));
        for (std::string point; in >> point;) next.log.push_back(point);
        asked.push_back(std::move(next));
    }
};

}  // namespace

End Script::check(const std::vector<std::string>& lines) {
    const Said said(lines);
    auto lost = [this](const std::string& what) {
        say_("LOST " + what);
        return End::lost;
    };
    auto opened = open();
    if (!opened && !said.made) return End::refused;  // nothing was promised: it would be made anew
    if (!opened) return lost(opened.error().what);
    wal_ = std::move(opened->wal);
    if (raw(base_.index) < said.snapshot) return lost("the snapshot in force");
    if (auto current = snapshot::read_current(world_.files, kSnapshots); current && current->snapshot)
        for (const snapshot::ArchiveInfo& archive : current->snapshot->archives)
            if (!snapshot::verify_archive(world_.files, kSnapshots, archive.name()))
                return lost("archive " + archive.name());
    const LogPoint begin = wal_->base();
    std::vector<LogPoint> log = read_all(begin, opened->last);
    if (begin.index + log.size() != opened->last.index) return lost("what can be read");
    const Said::Asked* acked = nullptr;
    for (const Said::Asked& asked : said.asked)
        if (asked.id <= said.durable) acked = &asked;
    uint64_t kept = acked->log.size();
    bool hard = said.durable == 0, same = false;
    for (const Said::Asked& asked : said.asked) {
        if (asked.id < acked->id) continue;
        if (asked.id > acked->id) kept = std::min(kept, asked.keep);
        hard |= HardState{Term{asked.term}, NodeId{asked.vote}} == opened->hard;
        bool fits = raw(opened->last.index) <= asked.log.size();
        for (size_t i = 0; fits && i < log.size(); ++i)
            fits = text_of(log[i]) == asked.log[raw(log[i].index) - 1];
        same |= fits;
    }
    if (!hard) return lost("term and vote");
    if (!same) return lost("the log is none that was asked for");
    if (raw(opened->last.index) < kept) return lost("entries up to " + std::to_string(kept));
    wal_.reset();
    return End::done;
}

}  // namespace raftd::disk_calls
