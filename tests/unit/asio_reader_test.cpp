// FrameReader and SendQueue without sockets: any cutting of a stream into receives gives the same frames.
#include <array>

#include "base/random.h"
#include "io/asio/send_queue.h"
#include "tests/unit/asio_support.h"

namespace raftd::io::asio {
namespace {

struct Fed {
    std::vector<std::string> bodies;
    proto::FrameFault fault = proto::FrameFault::none;
    uint32_t held_max = 0;
    bool aligned = true;
    std::vector<Slice> kept;
};

/// Feeds `stream` in pieces of at most `piece_max` bytes, as a socket would.
Fed feed(FrameReader& reader, std::string_view stream, size_t piece_max, bool keep) {
    Fed fed;
    while (!stream.empty()) {
        MutableBytes room = reader.room();
        size_t piece = std::min({room.size(), piece_max, stream.size()});
        std::memcpy(room.data(), stream.data(), piece);
        stream.remove_prefix(piece);
        reader.received(static_cast<uint32_t>(piece));
        proto::FrameHeader header;
        Slice payload;
        FrameReader::Got got;
        while ((got = reader.next(header, payload)) == FrameReader::Got::frame) {
            fed.bodies.push_back(body_of(payload));
            fed.aligned = fed.aligned && reinterpret_cast<uintptr_t>(payload.data()) % 8 == 0;
            if (keep) fed.kept.push_back(payload);
            payload = {};
        }
        fed.held_max = std::max(fed.held_max, reader.held_bytes());
        if (got == FrameReader::Got::bad) {
            fed.fault = reader.why();
            break;
        }
        reader.rest();
    }
    return fed;
}

struct Stream {
    std::string bytes;
    std::vector<std::string> bodies;
};
Stream stream_of(std::initializer_list<size_t> sizes) {
    Stream stream;
    for (size_t size : sizes) {
        stream.bodies.push_back(body_text(size, stream.bodies.size() + 1));
        Slice frame = frame_of(7, stream.bodies.back());
        stream.bytes += as_text(frame.view());
    }
    return stream;
}

// Without it: frames lost, joined or misaligned at the borders of receives and chunks.
TEST(FrameReader, GivesTheSameFramesHoweverTheStreamIsCut) {
    Stream stream =
        stream_of({0, 1, 3, 100, 65000, 7, 65536, 70000, 5, 300000, 1, 1u << 20, 13, 2500000, 9, 64, 0});
    for (bool steady : {false, true})
        for (bool keep : {false, true})
            for (size_t piece : {1009ul, 4096ul, 65536ul, 1ul << 24}) {
                BlockPool pool;
                FrameReader reader(pool, {17u << 20, steady});
                Fed fed = feed(reader, stream.bytes, piece, keep);
                EXPECT_EQ(fed.fault, proto::FrameFault::none);
                ASSERT_EQ(fed.bodies.size(), stream.bodies.size()) << piece << steady << keep;
                EXPECT_TRUE(fed.bodies == stream.bodies);
                EXPECT_TRUE(fed.aligned);
                for (size_t i = 0; i < fed.kept.size();
                     ++i)  // later receives must not write over what is held
                    ASSERT_TRUE(body_of(fed.kept[i]) == stream.bodies[i]) << i;
            }
    EXPECT_EQ(Chunk::live_bytes(), 0u);
}

TEST(FrameReader, TakesSingleBytes) {
    Stream stream = stream_of({0, 5, 40, 1, 8});
    BlockPool pool;
    FrameReader reader(pool, {17u << 20, false});
    Fed fed = feed(reader, stream.bytes, 1, true);
    EXPECT_TRUE(fed.bodies == stream.bodies);
}

// B95 and its kin: a header alone must not make us reserve what it promises.
TEST(FrameReader, HoldsMemoryByWhatCameNotByWhatIsPromised) {
    proto::FrameHeader header{};
    header.length = 16u << 20;
    std::string stream(reinterpret_cast<const char*>(&header), sizeof header);
    stream.resize(1000);
    BlockPool pool;
    FrameReader reader(pool, {17u << 20, false});
    EXPECT_TRUE(feed(reader, stream, 100, false).bodies.empty());
    reader.room();
    EXPECT_LE(reader.held_bytes(), BlockPool::kBlockBytes);
}

TEST(FrameReader, RefusesTooLongTooShortAndDamaged) {
    for (uint32_t length : {UINT32_MAX, (17u << 20) + 1, 0u, 15u, 19u}) {
        proto::FrameHeader header{};
        header.length = length;
        BlockPool pool;
        FrameReader reader(pool, {17u << 20, true});
        std::string stream(reinterpret_cast<const char*>(&header), sizeof header);
        Fed fed = feed(reader, stream, 16, false);
        EXPECT_EQ(fed.fault, length < 20 ? proto::FrameFault::too_short : proto::FrameFault::too_long)
            << length;
    }
    Stream stream = stream_of({50});
    stream.bytes[5] = static_cast<char>(stream.bytes[5] ^ 1);
    BlockPool pool;
    FrameReader reader(pool, {17u << 20, true});
    EXPECT_EQ(feed(reader, stream.bytes, 16, false).fault, proto::FrameFault::checksum);
}

TEST(FrameReader, IdleClientHoldsNoMemory) {
    BlockPool pool;
    FrameReader reader(pool, {17u << 20, false});
    feed(reader, stream_of({100, 200}).bytes, 4096, false);
    EXPECT_EQ(reader.held_bytes(), 0u);
}

// A follower keeps entries in place: many small frames must share chunks, not pin one each.
TEST(FrameReader, SteadyLinkPacksKeptFramesIntoFewChunks) {
    BlockPool pool;
    FrameReader reader(pool, {17u << 20, true});
    std::vector<Slice> kept;
    for (int i = 0; i < 2000; ++i) {
        Fed fed = feed(reader, stream_of({333}).bytes, 4096, true);
        kept.push_back(fed.kept.at(0));
    }
    EXPECT_LE(Chunk::live_bytes(), 3u * (kChunkBytes + proto::kFrameSlackBytes));
}

std::string sent_by(SendQueue& queue, size_t at_once, size_t parts_max) {
    std::string all;
    std::vector<iovec> parts(parts_max);
    while (!queue.empty()) {
        size_t count = queue.gather(parts), taken = 0;
        for (size_t i = 0; i < count && taken < at_once; ++i) {
            size_t part = std::min(parts[i].iov_len, at_once - taken);
            all.append(static_cast<const char*>(parts[i].iov_base), part);
            taken += part;
        }
        queue.sent(taken);
    }
    return all;
}

// Without it: bytes sent twice, left out or out of order when the kernel takes only a part.
TEST(SendQueue, SendsAllBytesInOrderHoweverMuchTheKernelTakes) {
    for (size_t at_once : {1ul, 700ul, 5000ul, 1ul << 20}) {
        BlockPool pool;
        SendQueue queue(pool);
        std::string expected;
        Random random_sizes{at_once};
        for (int i = 0; i < 300; ++i) {
            size_t size =
                random_sizes.next() % 3 == 0 ? random_sizes.next() % 9000 : random_sizes.next() % 300;
            std::string text = body_text(size, random_sizes.next());
            Slice part = Slice::copy_of(as_bytes(text));
            queue.add(part);
            expected += text;
        }
        EXPECT_EQ(queue.bytes(), expected.size());
        EXPECT_TRUE(sent_by(queue, at_once, 16) == expected);
    }
}

TEST(SendQueue, CopiesSmallPartsTogetherAndHoldsLargeOnes) {
    BlockPool pool;
    SendQueue queue(pool);
    Slice large = Slice::copy_of(as_bytes(body_text(10000, 1)));
    for (int i = 0; i < 64; ++i) queue.add(Slice::copy_of(as_bytes("small")));
    queue.add(large.part(0, 5000));
    queue.add(large.from(5000));
    std::array<iovec, 8> parts;
    EXPECT_EQ(queue.gather(parts), 2u);  // one block of copies, one joined slice
    EXPECT_EQ(parts[1].iov_base, large.data());
}

}  // namespace
}  // namespace raftd::io::asio
