// Client: checkpoints up and down. An upload is one chunk at a time, each acknowledged when it is committed,
// so appends of others find their place between; what was lost with an answer is sent again at the same
// offset.
#include <cstring>

#include "client/client_parts.h"
#include "proto/control.pb.h"

namespace raftd::client {
namespace {

constexpr uint64_t kChunkBytesMax = 256u << 10;
constexpr uint64_t kChunkHeadBytes = 16;  // checkpoint, offset (docs/formats.md)

Checkpoint checkpoint_of(const pb::CheckpointInfo& from) {
    Checkpoint to;
    to.upto = Lsn{from.upto()};
    to.size = from.size();
    if (from.sha256().size() == to.sha256.size())
        std::memcpy(to.sha256.data(), from.sha256().data(), to.sha256.size());
    to.id = from.id();
    to.received = from.received();
    to.whole = from.committed_index() != 0;
    to.time_ms = from.time_ms();
    return to;
}

/// The one that an answer is about.
Result<Checkpoint> only(const LeaderAnswer& answer) {
    if (!answer.retained || answer.retained->checkpoints_size() != 1)
        return error(Errc::failed, "a member gave another answer than asked for",
                     "compare the versions: raftctl version");
    return checkpoint_of(answer.retained->checkpoints(0));
}

std::string chunk_request(uint64_t id, uint64_t offset, std::string data) {
    pb::Request request;
    pb::CheckpointChunk& chunk = *request.mutable_add_chunk();
    chunk.set_id(id);
    chunk.set_offset(offset);
    *chunk.mutable_data() = std::move(data);
    return request.SerializeAsString();
}

}  // namespace

Result<Checkpoint> Client::put_checkpoint(Lsn upto, uint64_t size, const std::array<std::byte, 32>& sha256,
                                          const std::function<Result<void>(MutableBytes)>& read) {
    TRY_VOID(connect(parts_->session.options().timeout));
    pb::Request first;
    first.mutable_begin_checkpoint()->set_upto(raw(upto));
    first.mutable_begin_checkpoint()->set_size(size);
    first.mutable_begin_checkpoint()->set_sha256(std::string(as_text(ByteView(sha256))));
    TRY(begun, parts_->ask(first.SerializeAsString(), {}));
    TRY(upload, only(begun));
    const uint64_t most = std::min(kChunkBytesMax, cluster().limits.batch_bytes_max - kChunkHeadBytes);
    for (uint64_t at = 0; at < size;) {
        std::string data(std::min(most, size - at), '\0');
        TRY_VOID(read({reinterpret_cast<std::byte*>(data.data()), data.size()}));
        const uint64_t bytes = data.size();
        TRY(answer, parts_->ask(chunk_request(upload.id, at, std::move(data)), {}));
        if (auto kept = only(answer); !kept) return kept.error();
        at += bytes;
    }
    pb::Request last;
    last.mutable_commit_checkpoint()->set_id(upload.id);
    TRY(committed, parts_->ask(last.SerializeAsString(), {}));
    return only(committed);
}

Result<std::vector<Checkpoint>> Client::checkpoints() {
    pb::Request request;
    request.mutable_checkpoints();
    TRY(answer, parts_->ask(request.SerializeAsString(), {}));
    std::vector<Checkpoint> all;
    if (!answer.retained) return all;
    for (const pb::CheckpointInfo& one : answer.retained->checkpoints()) all.push_back(checkpoint_of(one));
    return all;
}

Result<void> Client::get_checkpoint(const Checkpoint& checkpoint,
                                    const std::function<Result<void>(ByteView)>& write) {
    TailOptions wanted;
    wanted.from = From::chunks;
    wanted.value = checkpoint.id;
    Tail stream = tail(wanted);
    uint64_t at = 0;
    while (at < checkpoint.size) {
        Record some[32];
        const size_t count = stream.next(some, milliseconds(100));
        for (size_t i = 0; i < count && at < checkpoint.size; ++i) {
            uint64_t head[2] = {};
            if (some[i].data.size() <= sizeof head) continue;
            std::memcpy(head, some[i].data.data(), sizeof head);
            // Others' chunks lie between; one that came again has the same bytes.
            if (head[0] != checkpoint.id || head[1] != at) continue;
            const ByteView data = some[i].data.subspan(sizeof head);
            if (data.size() > checkpoint.size - at) continue;
            TRY_VOID(write(data));
            at += data.size();
        }
        if (count != 0 || !stream.ended()) continue;
        if (auto why = stream.failure()) return *why;
        return error(Errc::damaged, "the log ends before the checkpoint does");
    }
    return {};
}

}  // namespace raftd::client
