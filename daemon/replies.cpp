#include "daemon/replies.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "proto/control.pb.h"
#include "proto/frame.h"

namespace raftd::daemon {
namespace {

/// With maps in order: a run of the simulator repeats.
std::string serialize(const pb::Answer& answer) {
    std::string text;
    google::protobuf::io::StringOutputStream stream(&text);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    answer.SerializeToCodedStream(&coded);
    coded.Trim();
    return text;
}

}  // namespace

void answer(Clients& clients, io::ConnId conn, uint32_t stream, const pb::Answer& answer) {
    if (!clients.owns(conn)) return;
    std::string text = serialize(answer);
    clients.send(conn, proto::make_message_frame(proto::FrameType::answer, stream, as_bytes(text)));
}

void refuse(Clients& clients, io::ConnId conn, uint32_t stream, const Error& why, NodeId leader) {
    pb::Answer said;
    pb::Error& refusal = *said.mutable_error();
    refusal.set_code(static_cast<uint32_t>(why.code));
    refusal.set_what(why.what);
    refusal.set_hint(why.hint);
    refusal.set_leader(raw(leader));
    answer(clients, conn, stream, said);
}

}  // namespace raftd::daemon
