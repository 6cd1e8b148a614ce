// Edits cluster.toml as text, so that comments, order and spacing of all else stay byte for byte.
#pragma once

#include <string>

#include "base/result.h"
#include "conf/settings.h"

namespace raftd::conf {

/// The text with `spec`'s members and config_index: blocks of members that aren't there any more go, new ones
/// come at the end, keys that differ are rewritten in place. Errors: bad_input (the text can't be parsed).
Result<std::string> edit_cluster_toml(const std::string& text, const ClusterSpec& spec);

}  // namespace raftd::conf
