// Frames as text, for traces.
#pragma once

#include <string>

#include "proto/frame.h"

namespace raftd::sim {

std::string describe_frame(const proto::FrameHeader& header, ByteView payload);

}  // namespace raftd::sim
