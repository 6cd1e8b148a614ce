// A write-ahead log over a simulated disk, with a model beside it that knows every log there ever was: what
// was asked for, what was acknowledged, and so what a recovery may find.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/checksum.h"
#include "sim/machine.h"
#include "wal/format.h"
#include "wal/wal.h"

namespace raftd::wal {

/// One write as it was asked for, and the log that it made.
struct Asked {
    WriteId id;
    HardState hard;
    Index keep;
    std::vector<LogPoint> log;  // behind entry 1, 2, ...
};

struct Model {
    std::vector<Asked> asked;  // since the last recovery; the first is what it found
    std::map<uint64_t, std::vector<std::byte>> entries;  // every entry ever made, by its chain
    WriteId acked{};
    const std::vector<LogPoint>& log() const { return asked.back().log; }
    LogPoint end() const { return log().empty() ? LogPoint{} : log().back(); }
    LogPoint at(uint64_t index) const { return index == 0 ? LogPoint{} : log().at(index - 1); }
};

class WalRig {
public:
    explicit WalRig(uint64_t seed = 1) : random_(seed) {
        options.dir = "d/wal";
        options.cluster_id = {1, 2};
        options.incarnation = {3, 4};
        options.first_segment_bytes = 64 << 10;
        options.segment_bytes = 64 << 10;
        options.group_bytes_max = 16 << 10;
        options.disk_free_reserve = 0;
        options.salt_seed = seed;
        options.token_tag = 7;
        storage.make_dir("d");
        storage.sync_dir("");
    }

    void init() {
        sim::SimWorld maker(storage);
        ASSERT_TRUE(create_first(maker.machine().files(), options));
        model.asked = {{WriteId{}, {}, {}, {}}};
    }
    /// The same disk and model; no process runs on it.
    std::unique_ptr<WalRig> copy() const {
        auto made = std::make_unique<WalRig>();
        made->storage = storage;
        made->options = options;
        made->create_time = create_time;
        made->model = model;
        made->random_ = random_;
        made->next_id_ = next_id_;
        return made;
    }
    /// Why there is no log, for messages of failed tests.
    std::string why() const {
        if (!refused.what.empty()) return refused.what;
        return world && world->ended() ? world->ended()->why : "";
    }
    /// A new process. Compares what it finds with the model, byte by byte. False: the process ended or
    /// refused.
    bool start() {
        if (!start_unchecked()) return false;
        std::function<sim::Verdict(uint64_t, const sim::DiskCall&)> fault;
        std::swap(fault, storage.fault);  // faults are for the log, not for the reads of this check
        check_found();
        std::swap(fault, storage.fault);
        return true;
    }
    bool start_unchecked() {
        EXPECT_EQ(wal, nullptr);
        world = std::make_unique<sim::SimWorld>(storage, random_.next());
        world->on_event([this](io::Event& event) { take(event); });
        world->disk_model().create = create_time;
        refused = Error{};
        bool up = world->machine().run([&] {
            Result<Recovered> opened = open(world->io(), options);
            if (!opened)
                refused = opened.error();
            else
                found = std::move(*opened);
        });
        if (!up || refused.code != Errc::failed || storage.dead()) {
            found.wal.reset();
            return false;
        }
        wal = std::move(found.wal);
        return true;
    }
    /// The same for a log with holes: what is known of it is compared, but for what it holds.
    bool start_with_holes() {
        if (!start_unchecked()) return false;
        std::function<sim::Verdict(uint64_t, const sim::DiskCall&)> fault;
        std::swap(fault, storage.fault);
        if (wal->holes().empty())
            check_found();
        else
            check_end(), check_terms();
        std::swap(fault, storage.fault);
        return true;
    }
    /// What isn't damaged has the term it had, and so has the last entry of a hole: by these terms the core
    /// judges what it is sent.
    void check_terms() const {
        for (uint64_t i = raw(found.base.index) + 1; i <= raw(found.last.index); ++i) {
            const bool guessed = std::any_of(wal->holes().begin(), wal->holes().end(), [i](const Hole& hole) {
                return i > raw(hole.from.index) && i < raw(hole.to.index);
            });
            const auto behind = std::find_if(found.runs.begin(), found.runs.end(),
                                             [i](const TermRun& run) { return raw(run.first) > i; });
            ASSERT_NE(behind, found.runs.begin()) << i;
            if (guessed) continue;
            EXPECT_EQ(std::prev(behind)->term, model.at(i).term) << "entry " << i;
        }
    }
    /// The process is gone, as by SIGKILL.
    void kill() {
        wal.reset();
        world.reset();
    }
    void crash(const sim::CrashPolicy& policy) {
        kill();
        storage.fault = nullptr;
        storage.crash(random_, policy);
    }
    void crash() { crash(sim::CrashPolicy::draw(random_)); }

    /// What the log must hold by what was acknowledged, and may hold by what was asked for.
    void check_found() {
        check_end();
        if (testing::Test::HasFatalFailure()) return;
        check_runs(model.log());
        check_content();
    }
    void check_end() {
        const Asked* acked = nullptr;
        for (const Asked& asked : model.asked)
            if (asked.id <= model.acked) acked = &asked;
        ASSERT_NE(acked, nullptr);
        uint64_t kept = acked->log.size();
        bool hard_known = false, log_known = false;
        std::vector<LogPoint> found_log;
        const uint64_t last = raw(found.last.index);
        for (const Asked& asked : model.asked) {
            if (asked.id < acked->id) continue;
            if (asked.id > acked->id) kept = std::min(kept, raw(asked.keep));
            hard_known |= asked.hard == found.hard;
            bool same =
                last <= asked.log.size() && (last == 0 ? LogPoint{} : asked.log[last - 1]) == found.last;
            if (same && !log_known)
                found_log.assign(asked.log.begin(), asked.log.begin() + static_cast<long>(last));
            log_known |= same;
        }
        EXPECT_TRUE(hard_known) << "term " << raw(found.hard.term) << " vote " << raw(found.hard.vote);
        ASSERT_TRUE(log_known) << "last " << last;
        ASSERT_GE(last, kept) << "acknowledged entries are gone";
        if (kept != 0) {
            EXPECT_EQ(found_log[kept - 1], acked->log[kept - 1]);
        }
        EXPECT_GE(found.hard.term, acked->hard.term);
        model.asked = {{model.acked, found.hard, {}, std::move(found_log)}};
    }
    void check_runs(const std::vector<LogPoint>& log) {
        std::vector<TermRun> runs;
        std::vector<Index> configs;
        for (const LogPoint& point : log) {
            if (point.index <= found.base.index) continue;
            if (runs.empty() || runs.back().term != point.term) runs.push_back({point.term, point.index});
            if (kind_of(point) == EntryKind::membership) configs.push_back(point.index);
        }
        EXPECT_EQ(found.runs, runs);
        ASSERT_EQ(found.configs.size(), configs.size());
        for (size_t i = 0; i < configs.size(); ++i) {
            EXPECT_EQ(found.configs[i].index, configs[i]);
            const auto& bytes = model.entries.at(log[raw(configs[i]) - 1].chain);
            EXPECT_TRUE(std::equal(found.configs[i].body.begin(), found.configs[i].body.end(),
                                   bytes.begin() + kEntryHeaderBytes, bytes.end()));
        }
    }
    EntryKind kind_of(const LogPoint& point) const {
        EntryHeader header;
        std::memcpy(&header, model.entries.at(point.chain).data(), sizeof header);
        return header.kind;
    }

    /// Reads the whole log and compares it with the model.
    void check_content() {
        uint64_t next = raw(wal->base().index) + 1;
        while (next <= model.log().size()) {
            ReadResult got = read({ReadRequest::By::index, next, 20'000, Index{UINT64_MAX}});
            if (got.code == ReadCode::beyond) break;  // not on disk yet
            ASSERT_EQ(got.code, ReadCode::ok) << got.what;
            ASSERT_EQ(got.first, Index{next});
            expect_entries(got);
            next = raw(got.last) + 1;
        }
        if (model.acked == model.asked.back().id) {
            EXPECT_EQ(next, model.log().size() + 1);
        }
    }
    void expect_entries(const ReadResult& got) {
        EXPECT_EQ(got.before, model.at(raw(got.first) - 1));
        std::vector<std::byte> wanted;
        for (uint64_t i = raw(got.first); i <= raw(got.last); ++i) {
            const auto& bytes = model.entries.at(model.at(i).chain);
            wanted.insert(wanted.end(), bytes.begin(), bytes.end());
        }
        ASSERT_EQ(wanted.size(), got.entries.size());
        EXPECT_EQ(std::memcmp(wanted.data(), got.entries.data(), wanted.size()), 0);
    }
    ReadResult read(const ReadRequest& request) {
        wal->read(request, 5);
        for (;;) {
            if (auto got = wal->take_read()) {
                EXPECT_EQ(got->cookie, 5u);
                return std::move(*got);
            }
            if (!world->step()) return {};
        }
    }

    /// Asks for a write: `count` new entries of `term` behind entry `keep`.
    WriteId write(uint64_t keep, uint64_t count, HardState hard, uint64_t body_max = 300) {
        LogPoint before = model.at(keep);
        std::vector<LogPoint> log(model.log().begin(), model.log().begin() + static_cast<long>(keep));
        std::vector<Slice> slices;
        LogPoint at = before;
        std::vector<std::byte> run;
        for (uint64_t i = 0; i < count; ++i) {
            std::vector<std::byte> entry = make_entry(at, hard.term, body_max);
            if (random_.chance(0.2) && !run.empty()) {  // more than one chunk
                slices.push_back(Slice::copy_of(run));
                run.clear();
            }
            run.insert(run.end(), entry.begin(), entry.end());
            model.entries[at.chain] = std::move(entry);
            log.push_back(at);
        }
        if (!run.empty()) slices.push_back(Slice::copy_of(run));
        WriteRequest request{WriteId{++next_id_}, hard, before, at.index, slices, true};
        model.asked.push_back({request.id, hard, Index{keep}, std::move(log)});
        world->machine().run([&] { wal->write(request); });
        note_durable();
        return request.id;
    }
    /// A point that only a snapshot has: behind entries that this log never held.
    LogPoint snapshot_point(uint64_t index, Term term) {
        return {Index{index}, term, random_.next(), Lsn{index + 1}, 1'700'000'000'000 + index};
    }
    /// A snapshot at `base` was installed, as its directory says from now on.
    void install(const LogPoint& base) {
        options.base = base;
        std::vector<LogPoint> log(raw(base.index), base);
        for (Asked& asked : model.asked) asked.log = log, asked.keep = base.index;
    }
    /// The log follows it; returns the write that vouches for that.
    WriteId reset(const LogPoint& base, HardState hard) {
        install(base);
        world->machine().run([&] { wal->reset(base); });
        return write(raw(base.index), 0, hard);
    }
    /// Appends one batch of one record.
    WriteId append_record(std::string_view record) {
        std::vector<std::byte> body(body_bytes_for(1, record.size()));
        const ByteView view = as_bytes(record);
        encode_body({&view, 1}, body);
        LogPoint before = model.end(), at = before;
        std::vector<std::byte> entry = finish(draft_batch(1, body), body, at, model.asked.back().hard.term);
        Slice bytes = Slice::copy_of(entry);
        model.entries[at.chain] = std::move(entry);
        std::vector<LogPoint> log = model.log();
        log.push_back(at);
        WriteRequest request{
            WriteId{++next_id_}, model.asked.back().hard, before, at.index, {&bytes, 1}, true};
        model.asked.push_back({request.id, request.hard, before.index, std::move(log)});
        world->machine().run([&] { wal->write(request); });
        note_durable();
        return request.id;
    }
    /// Ids of this rig begin above those of the one its model was copied from.
    void skip_ids(uint64_t count) { next_id_ += count; }
    WriteId append(uint64_t count, uint64_t body_max = 300) {
        return write(model.log().size(), count, model.asked.back().hard, body_max);
    }
    std::vector<std::byte> make_entry(LogPoint& at, Term term, uint64_t body_max) {
        EntryHeader header{};
        std::vector<std::byte> body;
        if (random_.chance(0.1)) {
            header.kind = random_.chance(0.5) ? EntryKind::noop : EntryKind::membership;
            body.resize(header.kind == EntryKind::noop ? 0 : random_.below(60));
            for (std::byte& b : body) b = std::byte(random_.next());
            header.body_bytes = static_cast<uint32_t>(body.size());
            header.body_checksum = checksum(body);
        } else {
            std::string record(random_.below(body_max + 1), 'x');
            for (char& c : record) c = static_cast<char>(random_.next());
            std::vector<ByteView> records{as_bytes(record)};
            if (random_.chance(0.3)) records.push_back(as_bytes("second"));
            body.resize(body_bytes_for(records.size(), record.size() + (records.size() == 2 ? 6 : 0)));
            encode_body(records, body);
            header = draft_batch(static_cast<uint32_t>(records.size()), body);
        }
        return finish(header, body, at, term);
    }
    std::vector<std::byte> finish(EntryHeader header, ByteView body, LogPoint& at, Term term) {
        finish_header(header, at, term, at.timestamp_ms + random_.below(3));
        at = point_after(header);
        std::vector<std::byte> bytes(sizeof header);
        std::memcpy(bytes.data(), &header, sizeof header);
        bytes.insert(bytes.end(), body.begin(), body.end());
        return bytes;
    }

    void take(io::Event& event) {
        if (auto* done = std::get_if<io::Completed>(&event.what)) {
            EXPECT_TRUE(wal->completed(*done));
            note_durable();
        }
        if (std::holds_alternative<io::Woken>(event.what)) wal->tick(world->io().clock.now());
        arm();
    }
    void arm() {
        if (wal != nullptr && wal->deadline() != kNever) world->io().clock.wake_at(wal->deadline());
    }
    void note_durable() {
        if (auto id = wal->take_durable()) {
            EXPECT_GT(*id, model.acked);
            model.acked = *id;
        }
    }
    /// False: the process ended first, or time is up.
    bool until_durable(WriteId id, Duration limit = seconds(10)) {
        arm();
        Instant until = world->kernel().now() + limit;
        while (model.acked < id && world->kernel().now() <= until)
            if (!world->step()) return false;
        return model.acked >= id;
    }
    void until_quiet() {
        arm();
        world->run_until_idle(seconds(5));
    }
    uint64_t term() const { return raw(model.asked.back().hard.term); }

    sim::SimStorage storage;
    Options options;
    Duration create_time = milliseconds(2);  // that a new segment takes
    std::unique_ptr<sim::SimWorld> world;
    Recovered found;
    std::unique_ptr<Wal> wal;
    Error refused;
    Model model;

private:
    Random random_;
    uint64_t next_id_ = 0;
};

}  // namespace raftd::wal
