// A bare process in the simulated network: it sends the frames that a test makes and keeps those that it
// gets, so that a member can be asked what no well-behaved client asks.
#pragma once

#include <deque>

#include "sim/machine.h"
#include "sim/network.h"
#include "tests/support/frames.h"

namespace raftd::sim {

class Talker : public io::Handler {
public:
    /// `host`: a number of its own in the network, above 100.
    Talker(Kernel& kernel, SimNetwork& network, uint32_t host)
        : machine_(kernel, storage_, disk_, clock_, network, host, host) {
        machine_.set_handler(this);
    }

    struct Got {
        io::ConnId conn;
        uint16_t type;
        Slice bytes;
    };
    std::deque<Got> got;  // but for what is in `heard`
    Heard heard;

    void listen(io::ConnClass kind, const std::string& address) {
        machine_.run([&] { machine_.io().network.listen(kind, address); });
    }
    void send(io::ConnId conn, const Slice& frame) {
        machine_.run([&] { machine_.io().network.send(conn, {&frame, 1}); });
    }
    /// As a client of `member`; what is said before the connection is up waits.
    void be_client_of(const std::string& member) {
        machine_.run([&] { conn_ = machine_.io().network.connect(io::ConnClass::client, member + ":7002"); });
        opened_ = false;
        waiting_.assign(1, message_frame(proto::FrameType::hello, 0, client_hello()));
    }
    /// These return the stream that the answer comes on.
    uint32_t ask(const pb::Request& request) {
        say(message_frame(proto::FrameType::request, ++stream_, request));
        return stream_;
    }
    uint32_t open_tail(const proto::TailOpen& open) {
        say(proto::make_frame(proto::FrameType::tail_open, ++stream_, proto::fixed_bytes(open)));
        return stream_;
    }
    uint32_t append(const Draft& draft) {
        say(draft.frame(++stream_));
        return stream_;
    }

    void handle(io::Event& event) override {
        if (auto* opened = std::get_if<io::Opened>(&event.what); opened != nullptr && opened->conn == conn_) {
            opened_ = true;
            for (const Slice& frame : waiting_) machine_.io().network.send(conn_, {&frame, 1});
            waiting_.clear();
        }
        auto* frame = std::get_if<io::Frame>(&event.what);
        if (frame != nullptr && !heard.take(frame->type, frame->stream, frame->bytes.view()))
            got.push_back({frame->conn, frame->type, frame->bytes});
    }
    void end_turn(Instant) override {}

private:
    void say(const Slice& frame) {
        if (opened_)
            send(conn_, frame);
        else
            waiting_.push_back(frame);
    }

    SimStorage storage_;
    DiskModel disk_;
    ClockModel clock_;
    Machine machine_;
    io::ConnId conn_{};
    uint32_t stream_ = 0;
    bool opened_ = false;
    std::vector<Slice> waiting_;
};

}  // namespace raftd::sim
