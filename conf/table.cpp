#include "conf/table.h"

#include "conf/units.h"

namespace raftd::conf {
namespace {

constexpr uint64_t kKiB = 1u << 10, kMiB = 1u << 20, kGiB = 1u << 30, kTiB = uint64_t{1} << 40;
constexpr uint64_t kMs = 1'000'000, kSecond = 1'000'000'000;

using S = NodeSettings;
constexpr bool kReloadable = true;
constexpr Setting kTable[] = {
    {"", "cluster", TextField{[](S& s) -> std::string& { return s.cluster; }}, 0, 0, "", true,
     "the cluster's file, relative to this one"},
    {"", "name", TextField{[](S& s) -> std::string& { return s.name; }}, 0, 0, "", true,
     "which of its members this is"},
    {"", "data_dir", TextField{[](S& s) -> std::string& { return s.data_dir; }}, 0, 0, "", true,
     "the data directory, relative to this file"},

    {"listen", "peer", TextField{[](S& s) -> std::string& { return s.listen_peer; }}, 0, 0, "", false,
     "bind address for members, where it differs from the one in the cluster's file"},
    {"listen", "client", TextField{[](S& s) -> std::string& { return s.listen_client; }}, 0, 0, "", false,
     "bind address for clients, where it differs from the one in the cluster's file"},
    {"listen", "exposure", TextField{[](S& s) -> std::string& { return s.listen_exposure; }}, 0, 0,
     "loopback|unencrypted", false,
     "unencrypted: listens beyond loopback too, where whoever reaches the ports may read and append"},

    {"raft", "heartbeat_interval", DurationField{[](S& s) -> Duration& { return s.raft.heartbeat_interval; }},
     kMs, 10 * kSecond, "", false, "a leader speaks to each member at least this often"},
    {"raft", "election_timeout", DurationField{[](S& s) -> Duration& { return s.raft.election_timeout; }},
     10 * kMs, 60 * kSecond, "", false,
     "a leader not heard for this long is replaced; at least 3 heartbeats"},
    {"raft", "batch_bytes_max", BytesField{[](S& s) -> uint64_t& { return s.raft.batch_bytes_max; }},
     4 * kKiB, 16 * kMiB, "", false,
     "largest batch of records that a client may append at once (or one record, if larger)"},
    {"raft", "in_flight_bytes_max", BytesField{[](S& s) -> uint64_t& { return s.raft.in_flight_bytes_max; }},
     64 * kKiB, kGiB, "", false, "sent to one follower and not yet answered"},
    {"raft", "clock_skew_max", DurationField{[](S& s) -> Duration& { return s.raft.clock_skew_max; }}, kMs,
     3600 * kSecond, "", false,
     "while the voters' clocks differ by more, a leader's monotonic clock counts the log's time"},

    {"log", "record_bytes_max", BytesField{[](S& s) -> uint64_t& { return s.log.record_bytes_max; }}, 1,
     16 * kMiB, "", false, "largest record accepted"},
    {"log", "segment_bytes", BytesField{[](S& s) -> uint64_t& { return s.log.segment_bytes; }}, kMiB, kGiB,
     "", false, "size of a file of the write-ahead log"},
    {"log", "buffer_bytes", BytesField{[](S& s) -> uint64_t& { return s.log.buffer_bytes; }}, kMiB, 4 * kGiB,
     "", false, "recent entries kept in memory"},
    {"log", "disk_free_min", BytesField{[](S& s) -> uint64_t& { return s.log.disk_free_min; }}, 0, kTiB, "",
     false, "below this much free disk, appends are refused as busy", kReloadable},
    {"log", "disk_free_reserve", BytesField{[](S& s) -> uint64_t& { return s.log.disk_free_reserve; }}, 0,
     kTiB, "", false, "kept free for what heals a full disk"},
    {"log", "scrub_rate", BytesField{[](S& s) -> uint64_t& { return s.log.scrub_rate; }}, 0, kTiB, "", false,
     "most that is read back in a second, in the background, to find damage before it is needed; 0: nothing",
     kReloadable},

    {"snapshot", "wal_keep_bytes", BytesField{[](S& s) -> uint64_t& { return s.snapshot.wal_keep_bytes; }}, 0,
     kTiB, "", false,
     "files of the write-ahead log kept below the newest snapshot, for members that are behind", kReloadable},
    {"snapshot", "compression", CountField{[](S& s) -> uint32_t& { return s.snapshot.compression; }}, 1, 19,
     "", false, "level of zstd for archives; a higher one is smaller and slower", kReloadable},
    {"snapshot", "transfer_rate", BytesField{[](S& s) -> uint64_t& { return s.snapshot.transfer_rate; }},
     64 * kKiB, kTiB, "", false, "most that is fetched from another member in a second to catch up",
     kReloadable},
    {"snapshot", "transfer_keep_bytes",
     BytesField{[](S& s) -> uint64_t& { return s.snapshot.transfer_keep_bytes; }}, 0, kTiB, "", false,
     "files of the write-ahead log kept while a member fetches a snapshot here, so that it can go on from "
     "them",
     kReloadable},

    {"limits", "connections_max", CountField{[](S& s) -> uint32_t& { return s.limits.connections_max; }}, 8,
     65536, "", false, "connections at a time"},
    {"limits", "tails_max", CountField{[](S& s) -> uint32_t& { return s.limits.tails_max; }}, 1, 65536, "",
     false, "tails at a time", kReloadable},
    {"limits", "append_queue_bytes_max",
     BytesField{[](S& s) -> uint64_t& { return s.limits.append_queue_bytes_max; }}, kMiB, 4 * kGiB, "", false,
     "appends admitted and not yet committed, all clients together; beyond it: busy", kReloadable},

    {"logging", "level", TextField{[](S& s) -> std::string& { return s.logging.level; }}, 0, 0,
     "error|warn|info|debug", false, "least important lines that are written", kReloadable},
    {"logging", "format", TextField{[](S& s) -> std::string& { return s.logging.format; }}, 0, 0, "text|json",
     false, "form of a line", kReloadable},
    {"logging", "file_bytes_max", BytesField{[](S& s) -> uint64_t& { return s.logging.file_bytes_max; }},
     64 * kKiB, kGiB, "", false, "size at which raftd.log is put aside; one old file is kept", kReloadable},

    {"debug", "faults", FlagField{[](S& s) -> bool& { return s.debug.faults; }}, 0, 0, "", false,
     "test clusters only: raftctl fault may worsen this member's links and make it campaign"},
};

std::string value_of(const Setting& setting, NodeSettings& settings) {
    struct Text {
        NodeSettings& settings;
        std::string operator()(DurationField field) const { return "\"" + text_of(field(settings)) + "\""; }
        std::string operator()(BytesField field) const {
            return "\"" + text_of_bytes(field(settings)) + "\"";
        }
        std::string operator()(CountField field) const { return std::to_string(field(settings)); }
        std::string operator()(FlagField field) const { return field(settings) ? "true" : "false"; }
        std::string operator()(TextField field) const { return toml_text(field(settings)); }
    };
    return std::visit(Text{settings}, setting.field);
}

std::string choices_text(std::string_view choices) {
    std::string text(choices);
    size_t last = text.rfind('|');
    text.replace(last, 1, " or ");
    for (size_t at; (at = text.find('|')) != std::string::npos;) text.replace(at, 1, ", ");
    return text;
}

}  // namespace

std::span<const Setting> settings_table() { return kTable; }

std::string path_of(const Setting& setting) {
    return setting.section.empty() ? std::string(setting.key)
                                   : std::string(setting.section) + "." + std::string(setting.key);
}

std::string value_text(const Setting& setting, const NodeSettings& settings) {
    NodeSettings copy = settings;  // the fields' accessors serve the parser too, so they aren't const
    return value_of(setting, copy);
}

std::string default_text(const Setting& setting) { return value_text(setting, NodeSettings{}); }

std::string range_text(const Setting& setting) {
    if (!setting.choices.empty()) return choices_text(setting.choices);
    if (std::holds_alternative<FlagField>(setting.field)) return "true or false";
    if (setting.high == 0) return "";
    if (std::holds_alternative<DurationField>(setting.field))
        return text_of(Duration{static_cast<int64_t>(setting.low)}) + " to " +
               text_of(Duration{static_cast<int64_t>(setting.high)});
    if (std::holds_alternative<BytesField>(setting.field))
        return text_of_bytes(setting.low) + " to " + text_of_bytes(setting.high);
    return std::to_string(setting.low) + " to " + std::to_string(setting.high);
}

std::string form_text(const Setting& setting) {
    std::string example = setting.needed ? "" : default_text(setting);
    if (std::holds_alternative<DurationField>(setting.field)) return "a duration in quotes, like " + example;
    if (std::holds_alternative<BytesField>(setting.field)) return "a size in quotes, like " + example;
    if (std::holds_alternative<CountField>(setting.field)) return "a whole number, like " + example;
    if (std::holds_alternative<FlagField>(setting.field)) return "true or false, without quotes";
    return setting.choices.empty() ? "a text in quotes"
                                   : "one of " + choices_text(setting.choices) + ", in quotes";
}

std::string settings_page() {
    std::string page =
        "# Settings of a member (`raftd.toml`)\n\n"
        "Made from the table in `conf/table.cpp`. Durations are texts like `\"150ms\"`, `\"2s\"`, `\"5m\"`; "
        "sizes like\n"
        "`\"512\"`, `\"64KiB\"`, `\"1MiB\"`. `raftctl config check FILE` names every error with line and "
        "column;\n"
        "`raftctl config show FILE` shows every setting with its value and where that comes from. A change "
        "takes effect\n"
        "at the member's next start; that of a setting marked *(SIGHUP)* as soon as the member gets that "
        "signal, "
        "too.\n";
    std::string_view section = "-";
    for (const Setting& setting : kTable) {
        if (setting.section != section) {
            section = setting.section;
            page += section.empty() ? "\n## At the top\n\n" : "\n## `[" + std::string(section) + "]`\n\n";
            page += "| setting | default | range | what it does |\n|---|---|---|---|\n";
        }
        std::string fallback = setting.needed ? "(must be given)" : "`" + default_text(setting) + "`";
        page += "| `" + std::string(setting.key) + "` | " + fallback + " | " + range_text(setting) + " | " +
                std::string(setting.comment) + (setting.reloadable ? " *(SIGHUP)*" : "") + " |\n";
    }
    return page;
}

}  // namespace raftd::conf
