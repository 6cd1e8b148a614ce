// Rot: bits of a member's disk that change at rest, in places where the log or the small files of its data
// directory have something. Where damage can't be told from a torn write (the last group, before the marker
// that witnesses it is synced) is left alone: that is the stated exception of docs/durability.md.
#pragma once

#include <optional>
#include <string>

#include "sim/storage.h"

namespace raftd::sim {

/// Damages one place of the data directory `dir`; says what and where, or nothing when there was no such
/// place.
std::optional<std::string> rot(SimStorage& storage, const std::string& dir, Random& random);

}  // namespace raftd::sim
