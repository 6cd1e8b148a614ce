#include "wal/marks.h"

namespace raftd::wal {

std::shared_ptr<const Marks> MarkCache::find(uint64_t segment_id) {
    auto place = places_.find(segment_id);
    if (place == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, place->second);
    return place->second->marks;
}

void MarkCache::keep(uint64_t segment_id, std::shared_ptr<const Marks> marks) {
    forget(segment_id);
    order_.push_front({segment_id, std::move(marks)});
    places_[segment_id] = order_.begin();
    bytes_ += bytes_of(order_.front());
    while (bytes_ > bytes_max_ && order_.size() > 1) forget(order_.back().segment_id);
}

void MarkCache::forget(uint64_t segment_id) {
    auto place = places_.find(segment_id);
    if (place == places_.end()) return;
    bytes_ -= bytes_of(*place->second);
    order_.erase(place->second);
    places_.erase(place);
}

}  // namespace raftd::wal
