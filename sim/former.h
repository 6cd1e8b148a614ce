// A cluster that lived before the run, in the same world: with clients of its own, saved, and gone for good.
// The run's cluster is then restored from the save, to other members; the clients that know the former one
// go on, and must be told that this is another.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/client.h"
#include "sim/cluster.h"

namespace raftd::sim {

class Former {
public:
    /// `successors`: how many members the cluster has that follows; its hosts come behind this one's.
    Former(Kernel& kernel, SimNetwork& network, Trace& trace, Reached& reached, const ClusterOptions& options,
           uint32_t members, uint32_t successors);

    /// Until it has a snapshot that is behind some records; false: it took none within its time.
    bool live();
    /// Its members are gone, and its clients dial on.
    void end();
    const std::string& save() const { return save_; }
    uint32_t members() const { return cluster_->count(); }
    /// All that was saved, in the order of their LSNs.
    const std::vector<RecordId>& records() const { return records_; }
    /// No append of a client of it was committed since end(): it would be another cluster's.
    bool nothing_landed() const;

    /// Numbers of its clients.
    static constexpr uint32_t kFirstClient = 70;

private:
    Kernel& kernel_;
    std::unique_ptr<Cluster> cluster_;
    std::unique_ptr<Ledger> ledger_;
    std::vector<std::unique_ptr<SimClient>> clients_;
    std::string save_;
    std::vector<RecordId> records_;
    uint64_t acked_before_ = 0;
};

}  // namespace raftd::sim
