#include "daemon/freeze_requests.h"

#include "daemon/replies.h"
#include "proto/control.pb.h"

namespace raftd::daemon {

bool FreezeRequests::request(const ClientConn& conn, uint32_t stream, const pb::Request& request) {
    if (!request.has_freeze()) return false;
    const pb::FreezeRequest& wanted = request.freeze();
    if (wanted.for_ms() > Freeze::kLongestMs) {
        refuse(clients_, conn.id, stream,
               error(Errc::bad_input, "a cluster is frozen for 7 days at most", "raftctl freeze --for 7d"),
               NodeId{});
        return true;
    }
    if (wanted.version() != 0) freeze_.set(wanted.version(), wanted.for_ms());
    waiting_.push_back({conn.id, stream});
    return true;
}

void FreezeRequests::turn() {
    if (waiting_.empty() || !freeze_.written()) return;
    for (const Asker& asker : std::exchange(waiting_, {})) tell(asker);
}

void FreezeRequests::tell(const Asker& asker) {
    pb::Answer answer_to;
    pb::Frozen& frozen = *answer_to.mutable_frozen();
    frozen.set_node_id(raw(context_.dir.identity.id));
    frozen.set_name(context_.dir.identity.name);
    frozen.set_version(freeze_.version());
    frozen.set_left_ms(freeze_.left_ms());
    frozen.set_differs(freeze_.on() && freeze_.why() == Freeze::Why::differs);
    answer(clients_, asker.conn, asker.stream, answer_to);
}

void FreezeRequests::fill(pb::Status& status) const { status.set_frozen_left_ms(freeze_.left_ms()); }

}  // namespace raftd::daemon
