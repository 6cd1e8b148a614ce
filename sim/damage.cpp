#include "sim/damage.h"

#include <iterator>

#include "sim/rot.h"
#include "snapshot/boots.h"

namespace raftd::sim {
namespace {

snapshot::Boots boots_of(const SimStorage& storage) {
    auto boots = snapshot::parse_boots(storage.durable_bytes(std::string(Cluster::kDataDir) + "/boots"));
    return boots ? boots->boots : snapshot::Boots{};
}

}  // namespace

bool Damage::may_hit(uint32_t member) const {
    return !cluster_.lost(member) && !hit_.contains(member) && hit_.size() < (cluster_.count() - 1) / 2;
}

std::string Damage::strike(uint32_t& member) {
    member = 1 + static_cast<uint32_t>(random_.below(cluster_.count()));
    if (!images_.empty() && random_.chance(0.5))  // else an image would hardly ever be used
        member = std::next(images_.begin(), static_cast<ptrdiff_t>(random_.below(images_.size())))->first;
    if (!may_hit(member)) return {};
    if (random_.chance(0.4)) return rot_some(member);
    if (images_.contains(member)) return put_back(member);
    keep_image(member);
    return "image_kept";
}

std::string Damage::rot_some(uint32_t member) {
    std::optional<std::string> what = rot(cluster_.storage(member), Cluster::kDataDir, random_);
    if (!what) return {};
    hit_.insert(member);
    cluster_.expect_damage(member);
    reached_.hit(Reach::rotted);
    return "rot_" + what->substr(0, what->find(' '));
}

/// As a power cut would leave it now.
void Damage::keep_image(uint32_t member) {
    SimStorage disk = cluster_.storage(member);
    disk.crash(random_, CrashPolicy::draw(random_));
    uint64_t boot = boots_of(disk).mine.number;
    images_.insert_or_assign(member, Image{std::move(disk), boot});
}

/// Only what every other member can know to be old: an image of the member's last start, or of a start that
/// some haven't heard of, looks like the member itself to them (a stated assumption). Those whose disk was
/// hit too, as long as they run.
bool Damage::known_to_be_old(uint32_t member, const Image& image) {
    for (uint32_t other = 1; other <= cluster_.count(); ++other) {
        if (other == member || cluster_.lost(other)) continue;
        auto peers = boots_of(cluster_.storage(other)).peers;
        auto seen = peers.find(NodeId{member});
        if (seen == peers.end() || seen->second.number <= image.boot) return false;
    }
    return true;
}

std::string Damage::put_back(uint32_t member) {
    const Image& image = images_.at(member);
    if (!known_to_be_old(member, image)) {
        if (random_.chance(0.2)) keep_image(member);
        return {};
    }
    hit_.insert(member);
    reached_.hit(Reach::put_back);
    cluster_.put_back(member, image.disk);
    cluster_.start_in(member, milliseconds(100));
    return "put_back";
}

}  // namespace raftd::sim
