// The simulator's disk held to the truth: the same script makes the same calls, with the same offsets and
// lengths, on a simulated disk and on the real file system (as the preloaded shim saw them).
#include <gtest/gtest.h>

#include <map>

#include "sim/machine.h"
#include "tests/disk_calls/child.h"
#include "tests/disk_calls/script.h"

namespace raftd::disk_calls {
namespace {

struct Call {
    std::string kind, path;
    uint64_t offset = 0, bytes = 0;
    bool operator==(const Call&) const = default;
    std::string text() const {
        return kind + " " + path + " " + std::to_string(offset) + "+" + std::to_string(bytes);
    }
};

/// Zeros may be written in pieces of any size.
void add(std::vector<Call>& calls, Call call) {
    Call* last = calls.empty() ? nullptr : &calls.back();
    const bool goes_on = last != nullptr && call.kind == "fill" && last->kind == "fill" &&
                         last->path == call.path && last->offset + last->bytes == call.offset;
    if (goes_on)
        last->bytes += call.bytes;
    else
        calls.push_back(std::move(call));
}

std::vector<Call> on_the_simulator(bool files_only) {
    std::vector<Call> calls;
    sim::SimStorage disk;
    disk.make_dir(kFolder);
    disk.fault = [&](uint64_t, const sim::DiskCall& call) {
        using sim::DiskOp;
        const bool looks = call.op == DiskOp::read || call.op == DiskOp::list;
        if (looks || (call.op == DiskOp::open && !call.makes) || call.path.empty()) return sim::Verdict{};
        const char* kind = call.op == DiskOp::open ? "create" : sim::text_of(call.op);
        add(calls, {kind, std::string(call.path), call.offset, call.bytes});
        return sim::Verdict{};
    };
    sim::SimWorld world(disk, 3);
    Script script(
        world.io(), [&] { return world.step(); }, [](const std::string&) {});
    world.on_event([&](io::Event& event) { script.handle(event); });
    const bool up =
        world.machine().run([&] { EXPECT_EQ(files_only ? script.files_only() : script.work(), End::done); });
    EXPECT_TRUE(up) << (world.ended() ? world.ended()->why : "");
    return calls;
}

std::vector<Call> on_the_system(const char* mode) {
    Place place;
    const Ended ended = place.run(mode, "", 30'000);
    EXPECT_EQ(ended.exit, 0) << (ended.said.empty() ? "" : ended.said.back());
    std::vector<Call> calls;
    for (const std::string& line : ended.calls) {
        const size_t a = line.find('|'), b = line.find('|', a + 1), c = line.find('|', b + 1);
        Call call{line.substr(0, a), line.substr(a + 1, b - a - 1),
                  std::stoull(line.substr(b + 1, c - b - 1)), std::stoull(line.substr(c + 1))};
        if (call.kind != "read") add(calls, std::move(call));
    }
    return calls;
}

std::map<std::string, std::vector<Call>> by_path(const std::vector<Call>& calls) {
    std::map<std::string, std::vector<Call>> paths;
    for (const Call& call : calls) add(paths[call.path], call);
    return paths;
}

void expect_same(const std::vector<Call>& simulated, const std::vector<Call>& real, const std::string& what) {
    for (size_t i = 0; i < std::max(simulated.size(), real.size()); ++i) {
        const std::string a = i < simulated.size() ? simulated[i].text() : "nothing more";
        const std::string b = i < real.size() ? real[i].text() : "nothing more";
        EXPECT_EQ(a, b) << what << ", call " << i << " of the simulator and of the system";
        if (a != b) return;
    }
}

// One call after another, in the same order throughout.
TEST(DiskCalls, BlockingWorkIsTheSame) {
    const std::vector<Call> simulated = on_the_simulator(true), real = on_the_system("--files");
    expect_same(simulated, real, "first start and two snapshots");
    printf("first start, two snapshots: %zu calls, equal and in the same order\n", real.size());
    EXPECT_GT(real.size(), 50u);
}

// Two threads work beside each other here: what happens to each file and in each directory is the same.
TEST(DiskCalls, TheLogIsTheSameOfEachFile) {
    const auto simulated = by_path(on_the_simulator(false)), real = by_path(on_the_system("--work"));
    size_t calls = 0;
    for (const auto& [path, some] : simulated) {
        const auto found = real.find(path);
        expect_same(some, found == real.end() ? std::vector<Call>{} : found->second, path);
        calls += some.size();
    }
    for (const auto& [path, some] : real) EXPECT_TRUE(simulated.contains(path)) << some.front().text();
    printf("a member's life: %zu files and directories, %zu calls, equal\n", real.size(), calls);
    EXPECT_GT(calls, 100u);
}

}  // namespace
}  // namespace raftd::disk_calls
