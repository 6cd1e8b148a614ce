#include "cli/logs.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "cli/deadline.h"
#include "cli/local.h"

namespace raftd::cli {
namespace {

struct LogEntry {
    std::string time, member, line;
};

/// `2026-01-02T03:04:05.678Z event ...` begins with its time; a JSON line has it as "time"; others have none
/// and stay with the line before.
std::string time_of(const std::string& line) {
    auto is_time = [](std::string_view text) {
        return text.size() >= 20 && text[4] == '-' && text[10] == 'T';
    };
    if (is_time(line)) return line.substr(0, line.find(' '));
    size_t at = line.find("\"time\":\"");
    if (at == std::string::npos) return "";
    std::string time = line.substr(at + 8, line.find('"', at + 8) - at - 8);
    return is_time(time) ? time : "";
}

/// Reads on from where it stopped; begins anew when the file was put aside.
class LogFileReader {
public:
    explicit LogFileReader(const LocalMember& member) : member_(member) {}

    void read(std::vector<LogEntry>& into) {
        struct stat now {};
        if (::stat(member_.log_file().c_str(), &now) != 0) return;
        if (now.st_ino != inode_ || now.st_size < at_) at_ = 0, inode_ = now.st_ino;
        std::ifstream file(member_.log_file(), std::ios::binary);
        file.seekg(at_);
        for (std::string line; std::getline(file, line) && !file.eof();) {
            at_ += static_cast<off_t>(line.size()) + 1;
            if (std::string time = time_of(line); !time.empty()) time_ = time;
            into.push_back({time_, member_.spec.name, line});
        }
    }

private:
    const LocalMember& member_;
    off_t at_ = 0;
    ino_t inode_ = 0;
    std::string time_;
};

void show(const Context& context, std::vector<LogEntry>& entries, size_t count) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const LogEntry& a, const LogEntry& b) { return a.time < b.time; });
    size_t first = entries.size() - std::min(entries.size(), count);
    std::string text;
    for (size_t i = first; i < entries.size(); ++i) {
        const LogEntry& entry = entries[i];
        if (context.output == Output::text)
            text += entry.member + "  " + printable(entry.line) + "\n";
        else
            text += Json::object().add("schema", 1).add("node", entry.member).add("line", entry.line).text() +
                    "\n";
    }
    write_out(text);
    entries.clear();
}

}  // namespace

Exit logs(const Context& context, const LogsOptions& options) {
    if (context.output == Output::json)
        return fail(context, error(Errc::bad_input, "logs is a stream: it has no single document",
                                   "raftctl logs -o jsonl"));
    auto found = find_local_cluster(context);
    if (!found) return fail(context, found.error());
    auto members = local_members(*found, options.nodes);
    if (!members) return fail(context, members.error());
    std::vector<LogFileReader> readers(members->begin(), members->end());
    std::vector<LogEntry> entries;
    for (LogFileReader& reader : readers) reader.read(entries);
    show(context, entries, options.lines);
    while (options.follow && write_out("")) {
        if (!pause_for(milliseconds(100))) return Exit::interrupted;
        for (LogFileReader& reader : readers) reader.read(entries);
        if (!entries.empty()) show(context, entries, entries.size());
    }
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
