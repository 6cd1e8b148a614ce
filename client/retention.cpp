// Client: trim, policy, cursors.
#include "client/client_parts.h"
#include "proto/control.pb.h"

namespace raftd::client {
namespace {

Error unexpected() {
    return error(Errc::failed, "a member gave another answer than asked for",
                 "compare the versions: raftctl version");
}

Cursor cursor_of(const pb::CursorInfo& from) {
    return {from.name(),           Lsn{from.lsn()}, from.hold(),
            from.hold_bytes_max(), from.set_ms(),   from.hold_over()};
}

RetentionFacts facts_of(const pb::Retained& from) {
    return {{from.bytes(), from.age_ms(), from.records(), from.below_checkpoint()},
            Lsn{from.first_lsn()},
            Lsn{from.last_lsn()},
            from.kept_bytes()};
}

std::string change_of(pb::CursorChange::Op op, std::string_view name, Lsn lsn) {
    pb::Request request;
    pb::CursorChange& change = *request.mutable_change_cursor();
    change.set_op(op);
    change.set_name(std::string(name));
    change.set_lsn(raw(lsn));
    return request.SerializeAsString();
}

}  // namespace

Result<Trimmed> Client::trim(Lsn before) {
    pb::Request request;
    request.mutable_trim()->set_before(raw(before));
    TRY(answer, parts_->ask(request.SerializeAsString(), {}));
    if (!answer.retained) return unexpected();
    Trimmed trimmed{Lsn{answer.retained->first_lsn()}, {}, answer.retained->held_by()};
    if (answer.retained->held_at() != 0) trimmed.held_at = Lsn{answer.retained->held_at()};
    return trimmed;
}

Result<RetentionFacts> Client::retention() {
    pb::Request request;
    request.mutable_retention();
    TRY(answer, parts_->ask(request.SerializeAsString(), {}));
    if (!answer.retained) return unexpected();
    return facts_of(*answer.retained);
}

Result<RetentionFacts> Client::set_retention(const RetentionChange& change) {
    pb::Request request;
    pb::RetentionChange& to = *request.mutable_change_retention();
    if (change.bytes) to.set_bytes(*change.bytes);
    if (change.age_ms) to.set_age_ms(*change.age_ms);
    if (change.records) to.set_records(*change.records);
    if (change.below_checkpoint) to.set_below_checkpoint(*change.below_checkpoint);
    TRY(answer, parts_->ask(request.SerializeAsString(), {}));
    if (!answer.retained) return unexpected();
    return facts_of(*answer.retained);
}

Result<Cursor> Client::cursor(std::string_view name) {
    pb::Request request;
    request.mutable_cursors()->set_name(std::string(name));
    TRY(answer, parts_->ask(request.SerializeAsString(), {}));
    if (!answer.retained) return unexpected();
    if (answer.retained->cursors().empty())
        return error(Errc::not_found, "there is no cursor " + std::string(name), "raftctl cursor list");
    return cursor_of(answer.retained->cursors(0));
}

Result<std::vector<Cursor>> Client::cursors() {
    pb::Request request;
    request.mutable_cursors();
    TRY(answer, parts_->ask(request.SerializeAsString(), {}));
    if (!answer.retained) return unexpected();
    std::vector<Cursor> cursors;
    for (const pb::CursorInfo& one : answer.retained->cursors()) cursors.push_back(cursor_of(one));
    return cursors;
}

Result<void> Client::change_cursor(std::string request) {
    TRY(answer, parts_->ask(std::move(request), {}));
    if (!answer.retained) return unexpected();
    return {};
}

Result<void> Client::set_cursor(const Cursor& cursor) {
    pb::Request request;
    pb::CursorChange& change = *request.mutable_change_cursor();
    change.set_op(pb::CursorChange::SET);
    change.set_name(cursor.name);
    change.set_lsn(raw(cursor.lsn));
    change.set_hold(cursor.hold);
    change.set_hold_bytes_max(cursor.hold_bytes_max);
    return change_cursor(request.SerializeAsString());
}

Result<void> Client::advance_cursor(std::string_view name, Lsn lsn) {
    return change_cursor(change_of(pb::CursorChange::ADVANCE, name, lsn));
}

Result<void> Client::delete_cursor(std::string_view name) {
    parts_->session.question().take_lost();
    auto done = change_cursor(change_of(pb::CursorChange::REMOVE, name, Lsn{}));
    // An attempt whose answer was lost may have removed it.
    const bool lost = parts_->session.question().take_lost() != 0;
    if (!done && done.error().code == Errc::not_found && lost) return {};
    return done;
}

}  // namespace raftd::client
