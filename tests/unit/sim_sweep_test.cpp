// Single bits of a member's whole data directory rot, one at a time, with two whole members beside it (P5,
// H3): it comes up equal, is mended by the others, or refuses by the file's name. Never other bytes, never a
// vote or an acknowledgement that rests on what is damaged. RAFTD_FLIPS sets how many bits.
#include <gtest/gtest.h>

#include <array>

#include "snapshot/archive_reader.h"
#include "snapshot/data_dir.h"
#include "tests/support/sim_fixture.h"
#include "wal/whole.h"

namespace raftd::sim {
namespace {

constexpr uint32_t kMembers = 3;

/// What a disk holds when nobody runs on it.
struct Content {
    std::string fault;  // why it can't be read; nothing else is set then
    HardState hard;
    Index base, last, first_hole;
    std::vector<std::byte> entries;  // behind base

    static Content refused(const Error& error) {
        Content content;
        content.fault = error.what;
        return content;
    }
};

wal::Options log_options(const snapshot::DataDir& dir) {
    wal::Options options;
    options.dir = dir.path + "/wal";
    options.cluster_id = dir.identity.cluster_id;
    options.incarnation = dir.identity.incarnation;
    options.base = dir.base;
    return options;
}

/// All of it, with every chain, body and archive checked; entries up to `upto`.
Content read_all(SimStorage disk, Index upto) {
    Content content;
    SimFiles files(disk);
    auto dir = snapshot::inspect(files, Cluster::kDataDir);
    if (!dir) return Content::refused(dir.error());
    auto walk = wal::LogWalk::open(files, log_options(*dir));
    if (!walk) return Content::refused(walk.error());
    content.hard = walk->found().hard;
    content.base = walk->found().base.index;
    content.last = walk->found().last.index;
    Index at = content.base;
    while (at < std::min(upto, content.last)) {
        auto piece = walk->next(1);
        if (!piece) return Content::refused(piece.error());
        if (piece->empty()) break;
        content.entries.insert(content.entries.end(), piece->view().begin(), piece->view().end());
        ++at;
    }
    if (!dir->current.snapshot) return content;
    const std::string snapshots = dir->path + "/snapshot";
    for (const auto& archive : dir->current.snapshot->archives)
        if (auto whole = snapshot::verify_archive(files, snapshots, archive.name()); !whole)
            return Content::refused(whole.error());
    auto state = snapshot::StateFile::open(files, snapshots, dir->current.snapshot->state);
    if (!state) return Content::refused(state.error());
    return content;
}

/// Of the log as a start finds it, holes and all.
Content judge(SimStorage disk) {
    Content content;
    SimWorld world(disk);
    world.machine().run([&] {
        auto dir = snapshot::inspect(world.machine().files(), Cluster::kDataDir);
        if (!dir) {
            content.fault = dir.error().what;
            return;
        }
        wal::Options options = log_options(*dir);
        options.holes = true;
        auto found = wal::open(world.io(), options);
        if (!found) {
            content.fault = found.error().what;
            return;
        }
        content.hard = found->hard;
        content.base = found->base.index, content.last = found->last.index;
        if (!found->holes.empty()) content.first_hole = found->holes.front().from.index + 1;
    });
    return content;
}

/// The members of a cluster that was stopped in good order.
struct Stopped {
    std::array<SimStorage, kMembers + 1> disks;
    std::array<SimStoreDisk, kMembers + 1> stores;
    std::array<daemon::NodeOptions, kMembers + 1> options;

    Stopped() {
        ClusterOptions small;
        small.segment_bytes = 64u << 10;
        small.buffer_bytes = 32u << 10;
        small.wal_keep_bytes = 96u << 10;
        small.state.archive = {.bytes = 16u << 10, .entries = 64};
        small.scrub_rate = 64u << 20;
        SimFixture world(311, small);
        world.start_loaded(seconds(2));
        world.writer->set_appending(false);
        world.until([&] { return world.writer->outstanding() == 0; });
        world.run_for(seconds(1));
        world.cluster.comes_back = false;
        for (uint32_t i = 1; i <= kMembers; ++i) {
            world.cluster.stop(i);
            world.until([&] { return !world.cluster.up(i); });
            disks[i] = world.cluster.storage(i);
            stores[i] = world.cluster.store(i);
            options[i] = world.cluster.node_options(i);
        }
    }
};

/// They run again, one of them with a bit wrong.
class Rerun {
public:
    enum class Came : uint8_t { equal, mended, refused, waits };
    static constexpr uint32_t kHurt = 2;

    Rerun(const Stopped& stopped, const Content& before, uint64_t seed)
        : kernel_(seed),
          network_(kernel_, seed + 1),
          before_(before),
          disks_(stopped.disks),
          stores_(stopped.stores),
          options_(stopped.options) {}
    ~Rerun() {
        for (auto& member : members_) member.node.reset();
    }

    SimStorage& disk() { return disks_[kHurt]; }
    const std::string& said() const { return said_; }

    Came run() {
        judged_ = judge(disks_[kHurt]);
        for (uint32_t i = 1; i <= kMembers; ++i) start(i);
        const Instant end = kernel_.now() + seconds(30);
        while (kernel_.now() < end) {
            kernel_.run_until(kernel_.now() + milliseconds(20));
            if (hurt_ended()) return Came::refused;
            watch();
            if (settled()) break;
        }
        for (uint32_t i = 1; i <= kMembers; ++i)
            EXPECT_FALSE(members_[i].machine->ended())
                << "n" << i << ": " << members_[i].machine->ended()->why;
        const daemon::Node& node = *members_[kHurt].node;
        const bool mended = node.repaired().holes + node.repaired().files != 0;
        said_ = node.dump();
        if (!settled()) return Came::waits;
        for (auto& member : members_) member.node.reset();
        disks_[kHurt].crash(random_, CrashPolicy::lose_all());
        const Content after = read_all(disks_[kHurt], before_.last);
        EXPECT_EQ(after.fault, "");
        compare(after);
        return mended ? Came::mended : Came::equal;
    }

private:
    struct Member {
        DiskModel model;
        ClockModel clock;
        std::unique_ptr<SimStoreMaker> store;
        std::unique_ptr<Machine> machine;
        std::unique_ptr<daemon::Node> node;
    };

    void start(uint32_t number) {
        Member& member = members_[number];
        member.machine = std::make_unique<Machine>(kernel_, disks_[number], member.model, member.clock,
                                                   network_, number, number);
        member.store = std::make_unique<SimStoreMaker>(stores_[number]);
        daemon::NodeOptions& options = options_[number];
        options.store = member.store.get();
        const bool up = member.machine->run([&] {
            auto opened = daemon::Node::open(member.machine->io(), options);
            if (!opened) {
                said_ = opened.error().what;
                return;
            }
            member.node = std::move(*opened);
            CHECK(member.node->start().has_value());
        });
        if (!up) said_ = member.machine->ended()->why;
        if (!up || member.node == nullptr) {
            EXPECT_EQ(number, kHurt) << said_;
            member.node.reset();
            return;
        }
        member.machine->set_handler(member.node.get());
        if (number == kHurt) check_promises(*member.node);
    }
    /// What it may have voted and acknowledged is known to it still.
    void check_promises(const daemon::Node& node) const {
        const raft::View view = node.core().view();
        EXPECT_GE(view.term, before_.hard.term);
        EXPECT_TRUE(view.term > before_.hard.term || view.vote == before_.hard.vote);
        EXPECT_GE(view.last, before_.last);
    }
    bool hurt_ended() {
        if (members_[kHurt].node == nullptr) return true;
        if (!members_[kHurt].machine->ended()) return false;
        said_ = members_[kHurt].machine->ended()->why;
        EXPECT_EQ(members_[kHurt].machine->ended()->code, ExitCode::damaged) << said_;
        return true;
    }
    /// Nobody believes that it has what is damaged, and it leads nobody.
    void watch() const {
        const daemon::Node& node = *members_[kHurt].node;
        if (!node.holed() || judged_.first_hole == Index{}) return;
        EXPECT_NE(node.core().role(), raft::Role::leader);
        for (uint32_t i = 1; i <= kMembers; ++i) {
            if (i == kHurt || members_[i].node->core().role() != raft::Role::leader) continue;
            for (const auto& follower : members_[i].node->core().view().followers)
                EXPECT_TRUE(follower.id != NodeId{kHurt} || follower.match < judged_.first_hole);
        }
    }
    /// It has read all its files since the start, found nothing or mended it, and follows or leads.
    bool settled() const {
        const daemon::Node& node = *members_[kHurt].node;
        if (node.holed() || node.core().leader() == NodeId{} || node.core().commit() < before_.last)
            return false;
        const std::string dump = node.dump();
        return dump.find("alarm=damaged") == std::string::npos &&
               dump.find("scrub_passes=0\n") == std::string::npos;
    }
    void compare(const Content& after) const {
        EXPECT_GE(after.last, before_.last);
        EXPECT_GE(after.hard.term, before_.hard.term);
        EXPECT_TRUE(after.hard.term > before_.hard.term || after.hard.vote == before_.hard.vote);
        // Segments may have gone meanwhile: the shorter one is a suffix.
        const size_t common = std::min(after.entries.size(), before_.entries.size());
        EXPECT_TRUE(std::equal(after.entries.end() - static_cast<ptrdiff_t>(common), after.entries.end(),
                               before_.entries.end() - static_cast<ptrdiff_t>(common)));
        EXPECT_GT(common, 0u);
    }

    Kernel kernel_;
    SimNetwork network_;
    Random random_{5};
    const Content& before_;
    Content judged_;
    std::array<SimStorage, kMembers + 1> disks_;
    std::array<SimStoreDisk, kMembers + 1> stores_;
    std::array<daemon::NodeOptions, kMembers + 1> options_;
    std::array<Member, kMembers + 1> members_;
    std::string said_;
};

/// By kind of file: a ledger.
struct Outcomes {
    std::map<std::string, std::array<uint64_t, 4>> table;

    static std::string kind_of(const std::string& path) {
        const std::string name = path.substr(path.rfind('/') + 1);
        if (path.find("/wal/") != std::string::npos) return "wal";
        if (snapshot::is_archive_name(name)) return "archive";
        if (snapshot::is_state_file_name(name)) return "state file";
        return name.starts_with("manifest-") ? "manifest" : name;
    }
    uint64_t all() const {
        uint64_t sum = 0;
        for (const auto& [kind, outcomes] : table)
            for (uint64_t count : outcomes) sum += count;
        return sum;
    }
    void print() const {
        std::printf("%-16s %8s %8s %8s %8s\n", "bits of", "equal", "mended", "refused", "waits");
        for (const auto& [kind, outcomes] : table)
            std::printf(
                "%-16s %8llu %8llu %8llu %8llu\n", kind.c_str(), static_cast<unsigned long long>(outcomes[0]),
                static_cast<unsigned long long>(outcomes[1]), static_cast<unsigned long long>(outcomes[2]),
                static_cast<unsigned long long>(outcomes[3]));
    }
};

/// A bit of a file.
struct Bit {
    std::string path;
    uint64_t byte;
    int bit;
};

class Sweep {
public:
    Sweep() : before_(read_all(whole(), Index{UINT64_MAX})) {
        EXPECT_EQ(before_.fault, "");
        for (const std::string& path : whole().durable_paths()) {
            if (!path.starts_with(Cluster::kDataDir) || whole().size_of(path) == 0) continue;
            files_.push_back(path);
            bits_ += whole().size_of(path) * 8;
        }
    }
    uint64_t bits() const { return bits_; }
    Bit random_bit(Random& random) const {  // of each file as often
        const std::string& path = files_[random.below(files_.size())];
        const uint64_t byte = random.below(whole().size_of(path));
        return {path, byte, static_cast<int>(random.below(8))};
    }
    Bit nth(uint64_t number) const {  // of all there are, in order
        for (const std::string& path : files_) {
            const uint64_t here = whole().size_of(path) * 8;
            if (number < here) return {path, number / 8, static_cast<int>(number % 8)};
            number -= here;
        }
        return {};
    }
    void flip(const Bit& bit, uint64_t seed) {
        SCOPED_TRACE(bit.path + " at " + std::to_string(bit.byte) + " bit " + std::to_string(bit.bit));
        Rerun rerun(stopped_, before_, seed);
        ASSERT_TRUE(rerun.disk().flip_bit(bit.path, bit.byte, bit.bit));
        const Rerun::Came came = rerun.run();
        ++ledger.table[Outcomes::kind_of(bit.path)][static_cast<size_t>(came)];
        EXPECT_NE(came, Rerun::Came::waits) << rerun.said();
        if (came == Rerun::Came::refused) {
            const std::string name = bit.path.substr(bit.path.rfind('/') + 1);
            EXPECT_NE(rerun.said().find(name), std::string::npos) << rerun.said();
        }
    }

    Outcomes ledger;

private:
    const SimStorage& whole() const { return stopped_.disks[Rerun::kHurt]; }
    Stopped stopped_;
    Content before_;
    std::vector<std::string> files_;
    uint64_t bits_ = 0;
};

uint64_t number_in(const char* name, uint64_t otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr ? std::stoull(value) : otherwise;
}

TEST(SimSweep, RandomBitsOfAWholeDirectoryEndWellOrAreRefused) {
    const uint64_t count = number_in("RAFTD_FLIPS", 1000);
    Sweep sweep;
    Random random(23);
    for (uint64_t i = 0; i < count && !testing::Test::HasFailure(); ++i)
        sweep.flip(sweep.random_bit(random), 1000 + i);
    sweep.ledger.print();
    EXPECT_EQ(sweep.ledger.all(), count);
    EXPECT_GT(sweep.ledger.table["wal"][static_cast<size_t>(Rerun::Came::mended)], 0u);
    EXPECT_GT(sweep.ledger.table["archive"][static_cast<size_t>(Rerun::Came::mended)], 0u);
}

// All bits in order, a part at a time: RAFTD_FLIP_FROM says where to begin (scripts/soak keeps the ledger).
TEST(SimSweep, EachBitInTurn) {
    const uint64_t count = number_in("RAFTD_FLIP_COUNT", 20), from = number_in("RAFTD_FLIP_FROM", 0);
    Sweep sweep;
    for (uint64_t i = 0; i < count && !testing::Test::HasFailure(); ++i)
        sweep.flip(sweep.nth((from + i) % sweep.bits()), from + i);
    sweep.ledger.print();
    EXPECT_EQ(sweep.ledger.all(), count);
    std::printf("flipped=%llu of=%llu\n", static_cast<unsigned long long>(sweep.ledger.all()),
                static_cast<unsigned long long>(sweep.bits()));
}

}  // namespace
}  // namespace raftd::sim
