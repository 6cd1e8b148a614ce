#include "cli/fsck_check.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/uuid.h"
#include "cli/fsck_parts.h"
#include "cli/view.h"
#include "snapshot/addresses.h"
#include "snapshot/boots.h"
#include "snapshot/identity.h"

namespace raftd::cli {
namespace {

constexpr uint64_t kSmallFileBytesMax = 16u << 20;

/// What a data directory holds; more is nobody's.
constexpr std::string_view kNames[] = {"LOCK",     "identity.toml", "boots", "freeze",    "addresses",
                                       "snapshot", "wal",           "state", "admin.sock"};

/// A small file that must be there and that `parse` takes.
template <class T>
std::optional<T> look_at(FsckRun& run, const char* part, const std::string& name,
                         Result<T> (*parse)(std::string_view)) {
    std::string content;
    const io::FileResult got = io::read_file(run.tools.files, run.path(name), kSmallFileBytesMax, content);
    if (got.error != 0) {
        run.add(Weight::damaged, part, name,
                got.error == ENOENT ? std::string("is missing") : std::string(std::strerror(got.error)));
        return std::nullopt;
    }
    Result<T> parsed = parse(content);
    if (parsed) return std::move(*parsed);
    run.add(Weight::damaged, part, name, parsed.error().what, 0);
    return std::nullopt;
}

Result<snapshot::BootsFile> boots_in(std::string_view text) { return snapshot::parse_boots(as_bytes(text)); }

void fsck_names(FsckRun& run) {
    int failed = 0;
    const size_t first = run.report.finds.size();
    for (const std::string& name : run.tools.files.list(run.report.dir, failed)) {
        if (std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames)) continue;
        if (name.ends_with(".tmp"))
            run.add(Weight::leftover, "files", name, "was being written when the process ended");
        else
            run.add(Weight::leftover, "files", name, "isn't a file of a data directory; it is left alone");
    }
    run.remove(first, run.report.dir);
}

}  // namespace

const char* text_of(Weight weight) {
    switch (weight) {
        case Weight::leftover: return "leftover";
        case Weight::harmless: return "harmless";
        case Weight::mendable: return "mendable";
        case Weight::damaged: return "damaged";
    }
    return "damaged";
}

uint64_t FsckReport::damages() const {
    return static_cast<uint64_t>(std::count_if(finds.begin(), finds.end(), [](const Find& find) {
        return find.weight != Weight::leftover && find.done.empty();
    }));
}

uint64_t FsckReport::repaired() const {
    return static_cast<uint64_t>(
        std::count_if(finds.begin(), finds.end(), [](const Find& find) { return !find.done.empty(); }));
}

Find& FsckRun::add(Weight weight, const char* part, std::string file, std::string what,
                   std::optional<uint64_t> offset) {
    return report.finds.emplace_back(Find{weight, part, std::move(file), offset, std::move(what), {}});
}

Find& FsckRun::add(Weight weight, const char* part, const Error& error) {
    std::string_view text = error.what;
    if (text.starts_with(report.dir + "/")) text.remove_prefix(report.dir.size() + 1);
    const size_t colon = text.find(": ");
    std::string_view file = colon == std::string_view::npos ? "" : text.substr(0, colon);
    std::optional<uint64_t> offset;
    if (const size_t at = file.find(" at byte "); at != std::string_view::npos) {
        uint64_t value = 0;
        const std::string_view digits = file.substr(at + 9);
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size()) offset = value;
        file = file.substr(0, at);
    }
    const bool named = !file.empty() && file.find(' ') == std::string_view::npos;
    return add(weight, part, named ? std::string(file) : std::string(),
               std::string(named ? text.substr(colon + 2) : text), offset);
}

void FsckRun::remove(size_t first_find, const std::string& folder) {
    if (!mends()) return;
    bool removed = false;
    for (size_t i = first_find; i < report.finds.size(); ++i) {
        Find& find = report.finds[i];
        if (find.weight != Weight::leftover || find.what.ends_with("left alone")) continue;
        const int failed = tools.files.remove(path(find.file)).error;
        if (failed != 0) {
            find.what += std::string("; can't be removed: ") + std::strerror(failed);
            continue;
        }
        find.done = "removed";
        removed = true;
    }
    if (removed) tools.files.sync_dir(folder);
}

void fsck_identity(FsckRun& run) {
    FsckReport& report = run.report;
    run.identity = look_at<snapshot::Identity>(run, "identity", "identity.toml", snapshot::parse_identity);
    if (run.identity) {
        report.name = run.identity->name;
        report.cluster = run.identity->cluster_name;
        report.facts.emplace_back("identity", report.name + " of " + report.cluster + ", id " +
                                                  std::to_string(raw(run.identity->id)) + ", cluster " +
                                                  to_hex(run.identity->cluster_id));
    }
    if (auto found = look_at<snapshot::BootsFile>(run, "boots", "boots", boots_in)) {
        report.facts.emplace_back("boots", counted(found->boots.mine.number, "start"));
        if (found->version != 0 && found->copies < 2)
            run.add(Weight::mendable, "boots", "boots", "one of its two copies isn't whole");
    }
    auto addresses = snapshot::read_addresses(run.tools.files, report.dir);
    if (!addresses) {
        Find& find = run.add(Weight::damaged, "addresses", addresses.error());
        find.what += " (" + addresses.error().hint + ")";
    }
}

FsckReport fsck_directory(const FsckTools& tools, const std::string& dir) {
    FsckReport report;
    report.dir = dir;
    FsckRun run{tools, report, {}, {}, false, {}};
    fsck_identity(run);
    auto current = snapshot::read_current_as_meant(tools.files, dir + "/snapshot");
    if (current)
        run.current = std::move(*current);
    else
        run.add(Weight::damaged, "snapshot", current.error());
    if (current && !run.current->meant.empty())
        run.add(Weight::mendable, "snapshot", "snapshot/CURRENT",
                "a byte of it is damaged; the manifest that it names says which");
    const bool bad = std::any_of(report.finds.begin(), report.finds.end(),
                                 [](const Find& find) { return find.weight == Weight::damaged; });
    if (!bad) {
        auto all = snapshot::inspect(tools.files, dir);
        run.whole = all.has_value();
        if (!all) run.add(Weight::damaged, "identity", all.error());
        for (Find& find : report.finds) {
            if (!all || !run.mends()) break;
            if (find.part == "boots" && snapshot::write_boots(tools.files, dir, all->boots))
                find.done = "written again from the other";
            if (find.file == "snapshot/CURRENT" &&
                snapshot::mend_current(tools.files, dir + "/snapshot", *run.current))
                find.done = "written again from the manifest";
        }
    }
    fsck_log(run);
    fsck_snapshot(run);
    fsck_state(run);
    fsck_names(run);
    return report;
}

}  // namespace raftd::cli
