// The one table of a member's settings. The parser, its checks, the generated raftd.toml, `raftctl config
// show` and the docs page are loops over it; a default is what conf/settings.h says.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "conf/settings.h"

namespace raftd::conf {

using DurationField = Duration& (*)(NodeSettings&);
using BytesField = uint64_t& (*)(NodeSettings&);
using CountField = uint32_t& (*)(NodeSettings&);
using FlagField = bool& (*)(NodeSettings&);
using TextField = std::string& (*)(NodeSettings&);

struct Setting {
    std::string_view section;  // "" = top of the file
    std::string_view key;
    std::variant<DurationField, BytesField, CountField, FlagField, TextField> field;
    uint64_t low = 0, high = 0;  // in ns, bytes or units; both 0 for flags and texts
    std::string_view choices;    // of a text: words split by '|'; "" = any
    bool needed = false;         // must be in the file
    std::string_view comment;
    bool reloadable = false;  // a running member takes it over on SIGHUP
};
std::span<const Setting> settings_table();

/// `raft.election_timeout`, or the key alone at the top.
std::string path_of(const Setting& setting);
/// The value as it would stand in the file: "150ms", "64MiB", 4096, "info".
std::string value_text(const Setting& setting, const NodeSettings& settings);
/// The default of a setting in that form.
std::string default_text(const Setting& setting);
/// What the range allows, for errors and docs: `10ms to 1m`, `error, warn, info or debug`.
std::string range_text(const Setting& setting);
/// What a right value looks like, for errors: `a duration like "100ms"`.
std::string form_text(const Setting& setting);

/// docs/settings.md.
std::string settings_page();

}  // namespace raftd::conf
