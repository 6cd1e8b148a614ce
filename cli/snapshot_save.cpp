// `raftctl snapshot save`: a snapshot of everything that was committed, from one member, as one file.
#include <unistd.h>

#include <filesystem>

#include "base/uuid.h"
#include "cli/deadline.h"
#include "cli/debug.h"
#include "cli/discover.h"
#include "cli/member_call.h"
#include "cli/save_file.h"
#include "cli/snapshot.h"
#include "cli/view.h"
#include "io/asio/files.h"
#include "snapshot/archive.h"

namespace raftd::cli {
namespace {

constexpr Duration kSaveInterval = milliseconds(100);

Error error_of(const pb::Answer& answer) {
    return error(static_cast<Errc>(answer.error().code()), answer.error().what(), answer.error().hint());
}

/// The member named, or the first that answers.
Result<MemberCall> call_member(const Context& context, const Found& found, const std::string& node) {
    std::vector<std::string> endpoints = found.endpoints;
    if (!node.empty()) {
        TRY(address, address_of(context, found, node));
        endpoints = {address};
    }
    const std::optional<ClusterId> cluster = found.spec ? std::optional(found.spec->id) : std::nullopt;
    std::optional<Error> first;
    for (const std::string& endpoint : endpoints) {
        auto call = MemberCall::open(endpoint, cluster, context.timeout);
        if (call) return call;
        if (!first) first = call.error();
        if (interrupted()) break;
    }
    return *first;
}

/// Pins the member's snapshot, once that has all that was committed when `index` was asked for.
Result<pb::SaveBegun> begin_save(const Context& context, MemberCall& call, uint64_t index) {
    pb::Request request;
    request.mutable_begin_save()->set_index_min(index);
    const Deadline patience(context.timeout);
    for (;;) {
        TRY(answer, call.ask(request));
        if (answer.has_save_begun()) return std::move(*answer.mutable_save_begun());
        if (!answer.has_error()) return error(Errc::too_new, "the member doesn't know how to be saved");
        const bool later = static_cast<Errc>(answer.error().code()) == Errc::unavailable;
        if (!later || patience.over()) return error_of(answer);
        if (!pause_for(kSaveInterval)) return error(Errc::failed, "interrupted");
    }
}

Result<void> fetch(const Context& context, MemberCall& call, client::SaveFetch& fetch, uint64_t bytes_all) {
    TRY_VOID(fetch.begin());
    uint64_t told = 0;
    while (!fetch.done()) {
        while (auto request = fetch.next()) call.send(*request);
        TRY(answer, call.receive());
        TRY_VOID(fetch.take(answer));
        if (shows_progress(context) && fetch.bytes_taken() - told > bytes_all / 100) {
            told = fetch.bytes_taken();
            note(context, text_of_bytes(told) + " of " + text_of_bytes(bytes_all));
        }
    }
    pb::Request end;
    end.mutable_end_save()->set_id(fetch.begun().id());
    TRY_VOID(call.ask(end));
    return {};
}

void print(const Context& context, const std::string& path, const pb::SaveBegun& begun, SaveFile& file) {
    const std::string sum = [&] {
        snapshot::ContentHash hash;
        const snapshot::Sha256 bytes = file.sha256();
        std::memcpy(hash.data(), bytes.data(), hash.size());
        return snapshot::to_hex(hash);
    }();
    const auto archives = static_cast<uint64_t>(begun.files_size() - 3);
    if (context.output != Output::text && path != "-") {
        Json json = Json::object();
        json.add("schema", 1).add("file", path).add("member", begun.member());
        json.add("index", begun.index()).add("first_lsn", begun.first_lsn()).add("lsn", begun.lsn());
        json.add("archives", archives).add("bytes", file.bytes()).add("sha256", sum);
        write_out(json.text() + "\n");
        return;
    }
    const std::string text = path + ": LSN " + std::to_string(begun.first_lsn()) + " to " +
                             std::to_string(begun.lsn()) + ", index " + std::to_string(begun.index()) + ", " +
                             counted(archives, "archive") + ", " + text_of_bytes(file.bytes()) + ", from " +
                             begun.member() + "\nsha256 " + sum;
    if (path == "-")
        note(context, text);
    else
        write_out(text + "\n");
}

Exit failed(const Context& context, const Error& why) {
    const Exit exit = fail(context, why);
    return interrupted() ? Exit::interrupted : exit;
}

}  // namespace

Exit snapshot_save(const Context& context, const SaveOptions& options) {
    auto found = find_cluster(context);
    if (!found) return fail(context, found.error());
    const bool out = options.file == "-";
    if (out && ::isatty(STDOUT_FILENO) != 0)
        return fail(context, error(Errc::bad_input, "a save isn't written to a terminal",
                                   "raftctl snapshot save FILE"));
    io::asio::FileTable table;
    io::asio::PosixFiles files(table);
    std::error_code fault;
    if (!out && !options.force && std::filesystem::exists(options.file, fault))
        return fail(context, error(Errc::conflict, options.file + " exists already",
                                   "--force replaces it once the save is whole"));
    auto call = call_member(context, *found, options.node);
    if (!call) return failed(context, call.error());
    auto index = begin_snapshot(context, *found);
    if (!index) return fail(context, index.error());
    if (*index == 0)
        return fail(context, error(Errc::not_found, "nothing was appended yet: there is nothing to save",
                                   "raftctl append"));
    auto begun = begin_save(context, *call, *index);
    if (!begun) return failed(context, begun.error());
    const uint64_t mtime_s = begun->time_ms() / 1000;
    auto to_output = [](ByteView bytes) -> Result<void> {
        if (write_out(as_text(bytes))) return {};
        return error(Errc::closed, "nobody reads the output any more");
    };
    auto file = out ? std::make_unique<SaveFile>(to_output, mtime_s)
                    : std::make_unique<SaveFile>(files, options.file, std::to_string(::getpid()), mtime_s);
    uint64_t bytes_all = 0;
    for (const pb::SaveFile& part : begun->files()) bytes_all += part.bytes();
    client::SaveFetch fetching(*begun, *file);
    auto done = file->open(options.force);
    if (done) done = fetch(context, *call, fetching, bytes_all);
    if (done) done = file->finish();
    if (!done) {
        file->discard();
        return failed(context, done.error());
    }
    print(context, options.file, *begun, *file);
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
