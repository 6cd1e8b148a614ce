#include "cli/cursor_keeper.h"

namespace raftd::cli {
namespace {

constexpr Duration kKeepEvery = seconds(1);

}  // namespace

Result<Lsn> CursorKeeper::start() {
    auto cursor = client_.cursor(name_);
    kept_at_ = client_.now();
    if (cursor) return next_ = kept_ = cursor->lsn;
    if (cursor.error().code != Errc::not_found) return cursor.error();
    if (commit_) return Lsn{};
    return error(Errc::not_found, "there is no cursor " + name_,
                 "raftctl cursor set " + name_ + " 1, or --commit, makes it");
}

Result<void> CursorKeeper::keep(bool now) {
    if (!commit_ || next_ == kept_ || (!now && client_.now() < kept_at_ + kKeepEvery)) return {};
    TRY_VOID(client_.advance_cursor(name_, next_));
    kept_ = next_;
    kept_at_ = client_.now();
    return {};
}

}  // namespace raftd::cli
