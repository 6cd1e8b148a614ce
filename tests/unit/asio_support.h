// What the tests of io/asio share: a handler that keeps what it is given, a temporary folder, two loops
// driven by one thread until a condition holds.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "io/asio/loop.h"
#include "proto/frame.h"

namespace raftd::io::asio {

struct QuietLog final : LogSink {
    bool wants(LogLevel) const override { return true; }
    void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
    std::vector<std::string> lines;
};

struct TemporaryFolder {
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "raftd-test-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
    std::string operator/(const std::string& name) const { return path + "/" + name; }
    std::string path;
};

/// A world and everything it has reported.
class TestWorld final : public Handler {
public:
    explicit TestWorld(LoopOptions options = {}) : loop(options, log), world(loop.world()) {}

    void handle(Event& event) override {
        if (auto* frame = std::get_if<Frame>(&event.what)) {
            if (on_frame) on_frame(*frame);
            if (keep_frames) frames.push_back(std::move(*frame));
        }
        if (auto* done = std::get_if<Completed>(&event.what)) completed.push_back(std::move(*done));
        if (auto* opened_event = std::get_if<Opened>(&event.what)) opened.push_back(*opened_event);
        if (auto* closed_event = std::get_if<Closed>(&event.what)) closed.push_back(*closed_event);
        if (std::holds_alternative<Writable>(event.what)) ++writable;
        if (std::holds_alternative<Woken>(event.what)) woken.push_back(event.now);
        if (std::holds_alternative<Stop>(event.what)) ++stops;
        if (std::holds_alternative<Reload>(event.what)) ++reloads;
    }
    void end_turn(Instant) override {
        ++turns;
        if (on_turn_end) on_turn_end();
    }
    const Completed* find(Token token) const {
        for (const Completed& each : completed)
            if (each.token == token) return &each;
        return nullptr;
    }

    QuietLog log;
    Loop loop;
    World& world;
    std::function<void(Frame&)> on_frame;
    std::function<void()> on_turn_end;
    bool keep_frames = true;
    std::vector<Frame> frames;
    std::vector<Completed> completed;
    std::vector<Opened> opened;
    std::vector<Closed> closed;
    std::vector<Instant> woken;
    int writable = 0, stops = 0, reloads = 0, turns = 0;
};

/// Turns of all worlds until `done`; false (and the test is to fail) after a time that no healthy run needs.
inline bool run_until(std::initializer_list<TestWorld*> worlds, const std::function<bool()>& done) {
    Clock& clock = (*worlds.begin())->world.clock;
    Instant give_up = clock.now() + seconds(60);
    while (!done()) {
        if (clock.now() > give_up) return false;
        for (TestWorld* world : worlds)
            world->loop.turn(*world, worlds.size() == 1 ? clock.now() + milliseconds(20)
                                                        : clock.now() + microseconds(200));
    }
    return true;
}

inline Slice frame_of(uint32_t stream, const std::string& body) {
    uint32_t fixed = 4;
    return proto::make_frame(proto::FrameType::append, stream,
                             {reinterpret_cast<const std::byte*>(&fixed), 4}, as_bytes(body));
}
inline std::string body_of(const Slice& payload) { return std::string(as_text(payload.view()).substr(4)); }
inline void send_frame(TestWorld& world, ConnId conn, uint32_t stream, const std::string& body) {
    Slice frame = frame_of(stream, body);
    world.world.network.send(conn, {&frame, 1});
}
/// Distinct, not compressible text of a length.
inline std::string body_text(size_t bytes, uint64_t seed) {
    std::string text(bytes, '\0');
    uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
    for (char& c : text) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        c = static_cast<char>(state);
    }
    return text;
}

}  // namespace raftd::io::asio
