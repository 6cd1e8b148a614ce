#include "kv/checkpoint.h"

#include <openssl/evp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace kv {
namespace {

using raftd::ByteView;
using raftd::Errc;
using raftd::error;
using raftd::Lsn;
using raftd::MutableBytes;
using raftd::Result;
using raftd::client::Checkpoint;
using raftd::client::Client;

constexpr int kTriesMax = 5;

std::array<std::byte, 32> sha256_of(std::string_view text) {
    std::array<std::byte, 32> sum{};
    EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(sum.data()), nullptr, EVP_sha256(),
               nullptr);
    return sum;
}

Result<Loaded> load(Client& client, const Checkpoint& from) {
    std::string text;
    TRY_VOID(client.get_checkpoint(from, [&](ByteView bytes) -> Result<void> {
        text += raftd::as_text(bytes);
        return {};
    }));
    if (sha256_of(text) != from.sha256)
        return error(Errc::damaged, "the newest checkpoint isn't what its SHA-256 says");
    TRY(store, Store::load(text));
    return Loaded{std::move(store), from.upto};
}

/// The newest whole one, or nothing.
std::optional<Checkpoint> newest_of(const std::vector<Checkpoint>& all) {
    std::optional<Checkpoint> newest;
    for (const Checkpoint& one : all)
        if (one.whole) newest = one;  // oldest first
    return newest;
}

}  // namespace

Result<Loaded> load_newest(Client& client) {
    for (int tries = 1;; ++tries) {
        TRY(all, client.checkpoints());
        const auto newest = newest_of(all);
        if (!newest) {
            TRY(log, client.retention());
            if (log.first <= Lsn{1}) return Loaded{};
            if (tries < kTriesMax) continue;  // one may have come between the two questions
            return error(Errc::not_found, "the log begins at LSN " + std::to_string(raw(log.first)) +
                                              ", and no checkpoint stands for what is gone");
        }
        auto loaded = load(client, *newest);
        if (loaded || loaded.error().code != Errc::not_found || tries == kTriesMax) return loaded;
        // Dropped while it was read, for a newer one.
    }
}

Result<Lsn> upload(Client& client, const Store& store, Lsn upto, Lsn unless) {
    TRY(all, client.checkpoints());
    for (const Checkpoint& one : all)
        if (one.upto > unless) return one.upto;
    const std::string text = store.save();
    std::string_view left = text;
    TRY(put, client.put_checkpoint(upto, text.size(), sha256_of(text), [&](MutableBytes into) {
        std::copy_n(raftd::as_bytes(left).data(), into.size(), into.data());
        left.remove_prefix(into.size());
        return Result<void>();
    }));
    TRY(log, client.retention());
    if (!log.policy.below_checkpoint) {
        raftd::client::RetentionChange below;
        below.below_checkpoint = true;
        TRY_VOID(client.set_retention(below));
    }
    return put.upto;
}

Uploader::~Uploader() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);  // nobody sees half an upload, and the cluster forgets it
    ::waitpid(child_, nullptr, 0);
    ::close(pipe_);
}

void Uploader::begin(const Store& store, Lsn upto, Lsn unless) {
    int ends[2];
    if (::pipe(ends) != 0) return std::perror("kvd: pipe");
    const pid_t parent = ::getpid();
    child_ = ::fork();
    if (child_ != 0) {
        ::close(ends[1]);
        pipe_ = ends[0];
        if (child_ < 0) {
            std::perror("kvd: fork");
            ::close(pipe_);
        }
        return;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    // The parent's connections are its own: here they would stay open when it closes them.
    const int answer = ::dup2(ends[1], 3);
    ::close_range(4, ~0U, 0);
    uint64_t newest = 0;
    auto opened = Client::open(options_);
    if (opened) {
        auto done = upload(*opened, store, upto, unless);
        if (done) newest = raw(*done);
        if (!done) std::fprintf(stderr, "kvd: checkpoint: %s\n", done.error().what.c_str());
    }
    const bool told = ::write(answer, &newest, sizeof newest) == sizeof newest;
    ::_exit(told ? 0 : 1);
}

std::optional<Lsn> Uploader::ended() {
    if (!busy() || ::waitpid(child_, nullptr, WNOHANG) == 0) return std::nullopt;
    child_ = 0;
    uint64_t newest = 0;
    if (::read(pipe_, &newest, sizeof newest) != sizeof newest) newest = 0;
    ::close(pipe_);
    return Lsn{newest};
}

}  // namespace kv
