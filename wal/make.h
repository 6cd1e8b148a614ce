// Headers and seals as they are made: by init, by a start that goes on, and by the running log. Pure but for
// create_first (wal/wal.h).
#pragma once

#include "wal/segment.h"
#include "wal/wal.h"

namespace raftd::wal {

uint64_t new_salt(const Options& options, uint64_t segment_id);
/// The header of a segment that follows `before` (nothing: the first of all).
SegmentHeader make_segment_header(const Options& options, SegmentKey key, const LogPoint& base,
                                  const Segment* before, NumberedHard hard, uint64_t file_bytes,
                                  bool begins_anew = false);
Seal make_seal(const Segment& segment, const FooterPlace& footer, uint64_t next_id, Index next_first);
/// A group without entries behind `segment`'s last.
GroupHeader make_empty_group(const Segment& segment, NumberedHard hard);

Error io_error(const std::string& path, const char* verb, int number);

}  // namespace raftd::wal
