#include "client/save_fetch.h"

#include <algorithm>

namespace raftd::client {

Result<void> SaveFetch::begin() {
    for (const pb::SaveFile& file : begun_.files())
        if (file.bytes() == 0) return error(Errc::damaged, "the member offers an empty file");
    TRY_VOID(sink_.begin("CURRENT", begun_.current().size()));
    return sink_.add(as_bytes(begun_.current()));
}

std::optional<pb::Request> SaveFetch::next() {
    if (open_.size() >= kWindow || asked_file_ == begun_.files_size()) return std::nullopt;
    const uint64_t size = begun_.files(asked_file_).bytes();
    const auto bytes = static_cast<uint32_t>(std::min<uint64_t>(kPartBytes, size - asked_offset_));
    pb::Request request;
    pb::ReadSave& read = *request.mutable_read_save();
    read.set_id(begun_.id());
    read.set_file(static_cast<uint32_t>(asked_file_));
    read.set_offset(asked_offset_);
    read.set_bytes_max(bytes);
    open_.push_back({asked_file_, asked_offset_, bytes});
    asked_offset_ += bytes;
    if (asked_offset_ == size) ++asked_file_, asked_offset_ = 0;
    return request;
}

Result<void> SaveFetch::take(const pb::Answer& answer) {
    if (answer.has_error())
        return error(static_cast<Errc>(answer.error().code()), answer.error().what(), answer.error().hint());
    if (open_.empty() || !answer.has_save_part() || answer.save_part().data().size() != open_.front().bytes)
        return error(Errc::damaged, "the member sent another part of the save than it was asked for");
    const Part part = open_.front();
    open_.pop_front();
    const pb::SaveFile& file = begun_.files(part.file);
    if (part.offset == 0) TRY_VOID(sink_.begin(file.name(), file.bytes()));
    taken_ += part.bytes;
    return sink_.add(as_bytes(answer.save_part().data()));
}

}  // namespace raftd::client
