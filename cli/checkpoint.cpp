#include "cli/checkpoint.h"

#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "cli/connect.h"
#include "snapshot/sha256.h"

namespace raftd::cli {
namespace {

using snapshot::Sha256;

struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

Error file_error(const std::string& path, const char* what) {
    return error(errno == ENOENT ? Errc::not_found : Errc::io,
                 path + ": " + what + ": " + std::strerror(errno));
}

std::string hex_of(const Sha256& sum) {
    std::string text;
    for (std::byte byte : sum) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned>(byte));
        text += digits;
    }
    return text;
}

struct Content {
    uint64_t size = 0;
    Sha256 sha256{};
};

/// Reads the file once, to know what is to be sent; it is read again meanwhile.
Result<Content> content_of(std::FILE* file, const std::string& path) {
    Content content;
    snapshot::Sha256Hasher hasher;
    std::vector<std::byte> block(1u << 20);
    while (size_t bytes = std::fread(block.data(), 1, block.size(), file)) {
        hasher.add(ByteView(block).first(bytes));
        content.size += bytes;
    }
    if (std::ferror(file) != 0 || std::fseek(file, 0, SEEK_SET) != 0)
        return file_error(path, "can't be read");
    content.sha256 = hasher.result();
    return content;
}

Json json_of(const client::Checkpoint& checkpoint) {
    return Json::object()
        .add("upto", raw(checkpoint.upto))
        .add("size", checkpoint.size)
        .add("sha256", hex_of(checkpoint.sha256))
        .add("id", checkpoint.id)
        .add("received", checkpoint.received)
        .add("whole", checkpoint.whole)
        .add("time_ms", checkpoint.time_ms);
}

const client::Checkpoint* newest_of(const std::vector<client::Checkpoint>& all) {
    const client::Checkpoint* newest = nullptr;
    for (const client::Checkpoint& one : all)
        if (one.whole && (newest == nullptr || one.upto > newest->upto)) newest = &one;
    return newest;
}

Error interrupted_error() { return error(Errc::failed, "interrupted"); }

/// Into a file beside, which takes its name when all of it is there and right; or to standard output.
Result<void> fetch(client::Client& client, const client::Checkpoint& wanted, const std::string& path) {
    const std::string part = path + ".part";
    File file(path.empty() ? nullptr : std::fopen(part.c_str(), "wb"));
    if (!path.empty() && !file) return file_error(part, "can't be written");
    snapshot::Sha256Hasher hasher;
    auto got = client.get_checkpoint(wanted, [&](ByteView bytes) -> Result<void> {
        if (interrupted()) return interrupted_error();
        hasher.add(bytes);
        if (!file && !write_out(as_text(bytes))) return error(Errc::closed, "the reader has gone");
        if (file && std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size())
            return file_error(part, "can't be written");
        return {};
    });
    Result<void> done = got;
    if (done && hasher.result() != wanted.sha256)
        done = error(Errc::damaged, "the checkpoint for LSN " + std::to_string(raw(wanted.upto)) +
                                        " isn't what its SHA-256 says: the upload was wrong from the start");
    if (!file) return done;
    if (done && (std::fflush(file.get()) != 0 || ::fsync(::fileno(file.get())) != 0))
        done = file_error(part, "can't be written");
    if (done && std::rename(part.c_str(), path.c_str()) != 0) done = file_error(path, "can't be written");
    if (!done) std::remove(part.c_str());
    return done;
}

}  // namespace

Exit checkpoint_put(const Context& context, const CheckpointOptions& options) {
    File file(std::fopen(options.file.c_str(), "rb"));
    if (!file) return fail(context, file_error(options.file, "can't be read"));
    auto content = content_of(file.get(), options.file);
    if (!content) return fail(context, content.error());
    auto connected = connect(context);
    if (!connected) return connected.error();
    client::Client& client = connected->client;
    snapshot::Sha256Hasher sent;
    uint64_t left = content->size;
    auto done = client.put_checkpoint(
        Lsn{options.upto}, content->size, content->sha256, [&](MutableBytes into) -> Result<void> {
            if (interrupted()) return interrupted_error();
            if (std::fread(into.data(), 1, into.size(), file.get()) != into.size())
                return error(Errc::failed, options.file + " has become shorter meanwhile: nothing was kept");
            sent.add(into);
            left -= into.size();
            // Before the last chunk: without it the upload is never whole.
            if (left == 0 && sent.result() != content->sha256)
                return error(Errc::failed, options.file + " has changed meanwhile: nothing was kept");
            return {};
        });
    if (!done && interrupted()) return Exit::interrupted;
    if (!done) return fail_with_cluster(context, client, done.error());
    if (options.trim) {
        auto trimmed = client.trim(Lsn{options.upto + 1});
        if (!trimmed) return fail_with_cluster(context, client, trimmed.error());
        if (trimmed->first <= Lsn{options.upto})
            note(context, "warning: cursor " + printable(trimmed->held_by) + " keeps what is at " +
                              std::to_string(raw(trimmed->first)) + " and above");
    }
    if (context.output != Output::text) write_out(json_of(*done).text().insert(1, "\"schema\":1,") + "\n");
    note(context, "checkpoint for LSN " + std::to_string(options.upto) + ": " + text_of_bytes(content->size));
    return finish_output(context, Exit::done);
}

Exit checkpoint_get(const Context& context, const CheckpointOptions& options) {
    if (context.output != Output::text && options.file.empty())
        return fail(context,
                    error(Errc::bad_input, "standard output can't be both the checkpoint and a document",
                          "raftctl checkpoint get FILE -o json"));
    auto connected = connect(context);
    if (!connected) return connected.error();
    client::Client& client = connected->client;
    auto all = client.checkpoints();
    if (!all) return fail_with_cluster(context, client, all.error());
    const client::Checkpoint* newest = newest_of(*all);
    if (newest == nullptr)
        return fail_with_cluster(context, client,
                                 error(Errc::not_found, "there is no checkpoint",
                                       "raftctl tail --from first reads the log from its first record"));
    auto got = fetch(client, *newest, options.file);
    if (!got && interrupted()) return Exit::interrupted;
    if (!got && got.error().code == Errc::closed) return Exit::done;
    if (!got) return fail_with_cluster(context, client, got.error());
    if (context.output != Output::text) write_out(json_of(*newest).text().insert(1, "\"schema\":1,") + "\n");
    note(context, "checkpoint for LSN " + std::to_string(raw(newest->upto)) +
                      "; go on with: raftctl tail --from " + std::to_string(raw(newest->upto) + 1) + " -f");
    return finish_output(context, Exit::done);
}

Exit checkpoint_list(const Context& context) {
    auto connected = connect(context);
    if (!connected) return connected.error();
    auto all = connected->client.checkpoints();
    if (!all) return fail_with_cluster(context, connected->client, all.error());
    std::string text;
    if (context.output == Output::text) {
        for (const client::Checkpoint& one : *all)
            text += "LSN " + std::to_string(raw(one.upto)) + "  " + text_of_bytes(one.size) +
                    (one.whole ? "" : "  (" + text_of_bytes(one.received) + " so far)") + "\n";
        if (all->empty()) note(context, "there is no checkpoint");
    } else if (context.output == Output::jsonl) {
        for (const client::Checkpoint& one : *all)
            text += json_of(one).text().insert(1, "\"schema\":1,") + "\n";
    } else {
        Json list = Json::array();
        for (const client::Checkpoint& one : *all) list.add(json_of(one));
        text = Json::object().add("schema", 1).add("checkpoints", list).text() + "\n";
    }
    write_out(text);
    return finish_output(context, Exit::done);
}

}  // namespace raftd::cli
