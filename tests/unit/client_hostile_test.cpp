// Members that send nonsense in well-formed frames (P9): nothing crashes, no wrong record comes out of a
// tail, and the session works again once they behave.
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "client/session.h"
#include "tests/support/fake_cluster.h"

namespace raftd::client {
namespace {

using raftd::fakes::FakeCluster;

void mangle_bytes(Random& random, std::vector<std::byte>& payload) {
    switch (random.below(5)) {
        case 0: payload.resize(random.below(payload.size() + 1)); return;
        case 1: payload.insert(payload.end(), random.below(40), std::byte{0xff}); return;
        case 2: {  // a field of the fixed part becomes extreme
            if (payload.size() < 8) return;
            uint64_t extremes[] = {0, 1, UINT32_MAX, UINT64_MAX, UINT64_MAX - 1, 1ull << 63, 7};
            uint64_t value = extremes[random.below(std::size(extremes))];
            std::memcpy(payload.data() + random.below(payload.size() - 7), &value,
                        random.chance(0.5) ? 4 : 8);
            return;
        }
        default:
            for (uint64_t n = random.between(1, 4); n > 0 && !payload.empty(); --n)
                payload[random.below(payload.size())] = static_cast<std::byte>(random.next());
    }
}

TEST(ClientHostile, NonsenseNeitherCrashesNorGetsThrough) {
    google::protobuf::SetLogHandler(nullptr);  // it would tell of each message that isn't UTF-8
    uint64_t mangled = 0;
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        FakeCluster cluster(3);
        SessionOptions options;
        options.endpoints = cluster.addresses();
        options.seed = seed;
        Random random(seed);
        // Who lied about its name in a handshake isn't found out; only with true names all must be well
        // again.
        bool lies_stop = seed % 2 == 0;
        std::vector<std::string> texts;
        for (int i = 1; i <= 60; ++i) {
            cluster.log().add_text({"a" + std::to_string(i), "b" + std::to_string(i)});
            texts.push_back("a" + std::to_string(i));
            texts.push_back("b" + std::to_string(i));
        }
        cluster.mangle = [&](uint16_t& type, uint32_t& stream, std::vector<std::byte>& payload) {
            bool greeting = type == static_cast<uint16_t>(proto::FrameType::hello_ok);
            if (random.chance(0.8) || (greeting && lies_stop)) return;
            ++mangled;
            if (random.chance(0.05)) type = static_cast<uint16_t>(random.below(50));
            if (random.chance(0.05)) stream = static_cast<uint32_t>(random.next());
            mangle_bytes(random, payload);
        };
        for (uint64_t id = 1; id <= 3; ++id) cluster.member(id).frame_bytes_max = 300;
        Session session(cluster, cluster, options);
        cluster.attach(session);
        TailOptions from_one;
        from_one.from = From::lsn;
        from_one.value = 1;
        TailId id = session.open_tail(from_one);
        std::vector<std::string> got;
        for (int round = 0; round < 40; ++round) {
            session.submit(Batch::of(as_bytes("x")));
            cluster.run_for(milliseconds(5));
            Record some[16];
            while (size_t count = session.tail(id).next(some))
                for (size_t i = 0; i < count; ++i) got.emplace_back(as_text(some[i].data));
            Appended done;
            while (session.take(done)) {
            }
        }
        // A chain and checksums that fit could be made by one who means it; accidents don't make them.
        for (size_t i = 0; i < std::min(got.size(), texts.size()); ++i) ASSERT_EQ(got[i], texts[i]) << seed;

        cluster.mangle = nullptr;
        cluster.run_for(seconds(25));
        Appended done;
        while (session.take(done)) {
        }
        uint64_t ticket = session.submit(Batch::of(as_bytes("after")));
        ASSERT_TRUE(cluster.run_until([&] { return session.take(done) && done.ticket == ticket; })) << seed;
        EXPECT_TRUE(!lies_stop || done.outcome == Outcome::committed)
            << "seed " << seed << ": " << (done.why ? done.why->what : "");
    }
    EXPECT_GT(mangled, 3000u);
}

}  // namespace
}  // namespace raftd::client
