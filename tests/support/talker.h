// A bare process in the simulated network: it sends the frames that a test makes and keeps those that it
// gets, so that a member can be asked what no well-behaved client asks.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "proto/client.h"
#include "proto/control.pb.h"
#include "proto/frame.h"
#include "sim/machine.h"
#include "sim/network.h"

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
        uint32_t stream;
        Slice bytes;
    };
    std::deque<Got> got;  // but for answers to requests and appends
    bool closed = false;  // some connection was

    void listen(io::ConnClass kind, const std::string& address) {
        machine_.run([&] { machine_.io().network.listen(kind, address); });
    }
    io::ConnId dial(io::ConnClass kind, const std::string& address) {
        io::ConnId conn{};
        machine_.run([&] { conn = machine_.io().network.connect(kind, address); });
        return conn;
    }
    void send(io::ConnId conn, const Slice& frame) {
        machine_.run([&] { machine_.io().network.send(conn, {&frame, 1}); });
    }
    template <class Message>
    void send_message(io::ConnId conn, proto::FrameType type, uint32_t stream, const Message& message) {
        std::string text = message.SerializeAsString();
        send(conn, proto::make_message_frame(type, stream, as_bytes(text)));
    }

    /// As a client of `member`; what is said before the connection is up waits.
    void be_client_of(const std::string& member) {
        pb::Hello hello;
        hello.set_magic(0x52414654);
        hello.set_version_min(1);
        hello.set_version_max(1);
        conn_ = dial(io::ConnClass::client, member + ":7002");
        opened_ = false;
        std::string text = hello.SerializeAsString();
        waiting_.assign(1, proto::make_message_frame(proto::FrameType::hello, 0, as_bytes(text)));
    }
    /// Returns the stream that the answer comes on.
    uint32_t ask(const pb::Request& request) {
        std::string text = request.SerializeAsString();
        say(proto::make_message_frame(proto::FrameType::request, ++stream_, as_bytes(text)));
        return stream_;
    }
    uint32_t append(const EntryHeader& draft, ByteView body, uint64_t expect_lsn = 0,
                    uint32_t flags = proto::kAppendRun) {
        proto::Append fixed{sizeof fixed, flags, expect_lsn, draft};
        say(proto::make_frame(proto::FrameType::append, ++stream_, proto::fixed_bytes(fixed), body));
        return stream_;
    }
    std::map<uint32_t, pb::Answer> answers;
    std::map<uint32_t, proto::AppendDoneItem> done;
    std::vector<uint32_t> order;  // streams of `done`, as they came

    void handle(io::Event& event) override {
        if (auto* opened = std::get_if<io::Opened>(&event.what); opened != nullptr && opened->conn == conn_) {
            opened_ = true;
            for (const Slice& frame : waiting_) machine_.io().network.send(conn_, {&frame, 1});
            waiting_.clear();
        }
        if (std::get_if<io::Closed>(&event.what) != nullptr) closed = true;
        if (auto* frame = std::get_if<io::Frame>(&event.what)) take(*frame);
    }
    void end_turn(Instant) override {}

private:
    void say(const Slice& frame) {
        if (opened_)
            send(conn_, frame);
        else
            waiting_.push_back(frame);
    }
    void take(const io::Frame& frame) {
        ByteView payload = frame.bytes.view();
        switch (static_cast<proto::FrameType>(frame.type)) {
            case proto::FrameType::answer: {
                ByteView message = proto::message_in(payload);
                answers[frame.stream].ParseFromArray(message.data(), static_cast<int>(message.size()));
                return;
            }
            case proto::FrameType::append_done: {
                proto::AppendDone fixed;
                ASSERT_TRUE(proto::read_fixed(payload, fixed));
                for (uint32_t i = 0; i < fixed.count; ++i) {
                    proto::AppendDoneItem item;
                    std::memcpy(&item, payload.data() + sizeof fixed + i * sizeof item, sizeof item);
                    ASSERT_TRUE(done.emplace(item.stream, item).second) << "answered twice";
                    order.push_back(item.stream);
                }
                return;
            }
            default: got.push_back({frame.conn, frame.type, frame.stream, frame.bytes});
        }
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
