// Answers to control requests of clients, given the same way by everybody who takes such requests. Loop
// thread only.
#pragma once

#include "base/result.h"
#include "daemon/clients.h"

namespace raftd::pb {
class Answer;
}

namespace raftd::daemon {

/// Nothing is sent when the asker has gone. The same answer is always the same bytes.
void answer(Clients& clients, io::ConnId conn, uint32_t stream, const pb::Answer& answer);
/// `leader`: whom to ask instead; 0: nobody known.
void refuse(Clients& clients, io::ConnId conn, uint32_t stream, const Error& why, NodeId leader);

}  // namespace raftd::daemon
