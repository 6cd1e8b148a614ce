// What happens to disks beside losing what wasn't synced (H29): rot, and old images put in their place. Hits
// at most a minority of the members in a run: no more could be borne by any log.
#pragma once

#include <map>
#include <set>
#include <string>

#include "sim/cluster.h"

namespace raftd::sim {

class Damage {
public:
    Damage(Cluster& cluster, Reached& reached, uint64_t seed)
        : cluster_(cluster), reached_(reached), random_(seed) {}

    /// Something of it happens to some member, or nothing can now. Says what, and to whom.
    std::string strike(uint32_t& member);

private:
    struct Image {
        SimStorage disk;
        uint64_t boot;  // number of the last start it knows of
    };
    bool may_hit(uint32_t member) const;
    std::string rot_some(uint32_t member);
    void keep_image(uint32_t member);
    std::string put_back(uint32_t member);
    bool known_to_be_old(uint32_t member, const Image& image);

    Cluster& cluster_;
    Reached& reached_;
    Random random_;
    std::set<uint32_t> hit_;
    std::map<uint32_t, Image> images_;
};

}  // namespace raftd::sim
