#include "sim/former.h"

#include "sim/saved.h"
#include "snapshot/archive_reader.h"

namespace raftd::sim {
namespace {

constexpr uint64_t kRecordsMin = 20;  // in the save

ClusterOptions options_of(ClusterOptions options, uint32_t members) {
    options.members = members;
    options.priorities.clear();
    return options;
}

std::vector<RecordId> records_of(const snapshot::Saved& saved) {
    std::vector<RecordId> records;
    for (size_t i = 0; i < saved.snapshot().archives.size(); ++i) {
        auto reader = saved.archive(i);
        CHECK(reader.has_value());
        for (size_t frame = 0; frame < reader->frames().size(); ++frame) {
            auto content = reader->content(frame);
            CHECK(content.has_value());
            EntryCursor cursor(*content);
            while (const EntryHeader* header = cursor.next()) {
                if (header->kind != EntryKind::batch) continue;
                RecordReader in(*header, cursor.body());
                while (auto record = in.next()) CHECK(Ledger::decode(*record, records.emplace_back()));
            }
        }
    }
    return records;
}

}  // namespace

Former::Former(Kernel& kernel, SimNetwork& network, Trace& trace, Reached& reached,
               const ClusterOptions& options, uint32_t members, uint32_t successors)
    : kernel_(kernel),
      cluster_(std::make_unique<Cluster>(kernel, network, trace, reached, options_of(options, members))),
      ledger_(std::make_unique<Ledger>(cluster_->truth(), reached)) {
    std::vector<std::string> names;
    for (uint32_t i = 1; i <= members + successors; ++i) names.push_back(Cluster::name_of(i));
    for (uint32_t i = 0; i < 2; ++i) {
        ClientLoad load;
        load.appends_per_second = 20;
        load.tail_life = seconds(600);  // one that stays where it is
        load.numbered = 1;              // so it sends again what has no answer
        clients_.push_back(
            std::make_unique<SimClient>(kernel, network, *ledger_, reached, kFirstClient + i, names, load));
    }
    for (uint32_t i = 1; i <= members; ++i) cluster_->start(i);
    for (auto& client : clients_) client->start();
}

bool Former::live() {
    const Instant until = kernel_.now() + seconds(60);
    while (kernel_.now() < until) {
        kernel_.run_until(kernel_.now() + milliseconds(200));
        const daemon::Node* node = cluster_->node(1);
        if (node->snapshot() == nullptr || raw(node->snapshot()->at.lsn_next) <= kRecordsMin) continue;
        kernel_.run_until(kernel_.now() + milliseconds(100));  // some of what follows isn't in it
        SimFiles files(cluster_->storage(1));
        save_ = save_of(files, std::string(Cluster::kDataDir) + "/snapshot");
        SimStorage storage;
        SimFiles copies(storage);
        records_ = records_of(put_save(copies, "/save", save_));
        return true;
    }
    return false;
}

void Former::end() {
    for (uint32_t i = 1; i <= cluster_->count(); ++i) cluster_->kill(i);
    kernel_.run_until(kernel_.now() + milliseconds(100));
    for (const auto& client : clients_) acked_before_ += client->acked();
}

bool Former::nothing_landed() const {
    uint64_t acked = 0;
    for (const auto& client : clients_) acked += client->acked();
    return acked == acked_before_;
}

}  // namespace raftd::sim
