// The wire as docs/protocol.md shows it: each hex text there is built here from the structs, byte for byte,
// then cut at every byte and flipped at every bit.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "base/checksum.h"
#include "base/uuid.h"
#include "proto/client.h"
#include "proto/control.pb.h"
#include "proto/frame.h"
#include "proto/peer.h"

namespace raftd::proto {
namespace {

std::string hex_of(ByteView bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (std::byte byte : bytes) {
        text.push_back(kDigits[static_cast<unsigned>(byte) >> 4]);
        text.push_back(kDigits[static_cast<unsigned>(byte) & 15]);
    }
    return text;
}

/// The hex texts of the document by name, without white space.
std::map<std::string, std::string> documented() {
    std::ifstream file(RAFTD_SOURCE_DIR "/docs/protocol.md");
    std::map<std::string, std::string> found;
    std::string line, name;
    while (std::getline(file, line)) {
        if (line.rfind("```hex ", 0) == 0)
            name = line.substr(7);
        else if (line == "```")
            name.clear();
        else if (!name.empty())
            found[name] += std::regex_replace(line, std::regex("\\s"), "");
    }
    return found;
}

template <class Fixed>
Slice fixed_frame(FrameType type, uint32_t stream, Fixed fixed) {
    fixed.size = sizeof fixed;
    return make_frame(type, stream, fixed_bytes(fixed));
}

Slice append_done_frame() {
    AppendDone head{56, 1, 2, 0};
    AppendDoneItem item{1, AppendCode::committed, 5, 3, 1000};
    std::vector<std::byte> fixed(56);
    std::memcpy(fixed.data(), &head, sizeof head);
    std::memcpy(fixed.data() + sizeof head, &item, sizeof item);
    return make_frame(FrameType::append_done, 0, fixed);
}

Slice append_frame() {
    ByteView record = as_bytes("hi");
    std::vector<std::byte> body(body_bytes_for(1, 2));
    encode_body({&record, 1}, body);
    Append append{sizeof append, kAppendRun, 0, draft_batch(1, body)};
    return make_frame(FrameType::append, 1, fixed_bytes(append), body);
}

Slice append_numbered_frame() {
    ByteView record = as_bytes("hi");
    std::vector<std::byte> body(body_bytes_for(1, 2));
    encode_body({&record, 1}, body);
    Append append{sizeof append, kAppendRun, 5, draft_batch(1, body)};
    append.draft.producer = 17;
    append.draft.producer_epoch = 2;
    append.draft.sequence = 8;
    return make_frame(FrameType::append, 2, fixed_bytes(append), body);
}

Slice append_repeated_frame() {
    AppendDone head{56, 1, 2, 0};
    AppendDoneItem item{2, AppendCode::repeated, 5, 3, 1000};
    std::vector<std::byte> fixed(56);
    std::memcpy(fixed.data(), &head, sizeof head);
    std::memcpy(fixed.data() + sizeof head, &item, sizeof item);
    return make_frame(FrameType::append_done, 0, fixed);
}

Slice open_producer_frame() {
    pb::Request request;
    request.mutable_open_producer()->set_name("job");
    return make_message_frame(FrameType::request, 1, as_bytes(request.SerializeAsString()));
}

Slice producer_answer_frame() {
    pb::Answer answer;
    answer.mutable_producer()->set_id(17);
    answer.mutable_producer()->set_epoch(2);
    answer.mutable_producer()->set_last_sequence(7);
    answer.mutable_producer()->set_records(7);
    answer.mutable_producer()->set_name("job");
    answer.mutable_producer()->set_opened_index(20);
    return make_message_frame(FrameType::answer, 1, as_bytes(answer.SerializeAsString()));
}

Slice hello_frame() {
    pb::Hello hello;
    hello.set_magic(0x52414654);
    hello.set_version_min(1);
    hello.set_version_max(1);
    return make_message_frame(FrameType::hello, 0, as_bytes(hello.SerializeAsString()));
}

std::map<std::string, Slice> built() {
    constexpr uint32_t kStream = 0x80000001;
    std::map<std::string, Slice> frames;
    frames["hello"] = hello_frame();
    frames["append"] = append_frame();
    frames["append_done"] = append_done_frame();
    frames["append_numbered"] = append_numbered_frame();
    frames["append_repeated"] = append_repeated_frame();
    frames["open_producer"] = open_producer_frame();
    frames["producer_answer"] = producer_answer_frame();
    frames["tail_open"] = fixed_frame(FrameType::tail_open, kStream,
                                      TailOpen{0, kTailFollow, TailFrom::lsn, 0, 7, 0, 8u << 20});
    frames["tail_data"] = fixed_frame(FrameType::tail_data, kStream,
                                      TailData{0, kTailCaughtUp, 9, 3, 0x1122334455667788, 7, 6, 9});
    frames["tail_credit"] = fixed_frame(FrameType::tail_credit, kStream, TailCredit{0, 0, 256u << 10});
    frames["tail_end"] = fixed_frame(FrameType::tail_end, kStream, TailEnd{0, TailCode::beyond, 6});
    frames["tail_close"] = fixed_frame(FrameType::tail_close, kStream, TailClose{0, 0});
    frames["append_entries"] =
        fixed_frame(FrameType::append_entries, 0, AppendEntries{0, 0, 3, 2, 9, 9, 8, 4});
    frames["vote"] = fixed_frame(FrameType::vote, 0, Vote{0, 1, 4, 3, 12});
    return frames;
}

FrameHeader header_of(ByteView frame) {
    FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    return header;
}

FrameFault check(ByteView frame) {
    FrameHeader header = header_of(frame);
    FrameFault fault = check_header(header, 17u << 20);
    if (fault != FrameFault::none) return fault;
    if (header.length != frame.size()) return FrameFault::too_short;
    return check_payload(header, frame.subspan(kFrameHeaderBytes));
}

// Another language's client is written from the document alone.
TEST(Wire, TheDocumentShowsWhatIsSent) {
    auto texts = documented();
    auto frames = built();
    EXPECT_EQ(texts.size(), frames.size());
    for (const auto& [name, frame] : frames) EXPECT_EQ(texts[name], hex_of(frame.view())) << name;
}

TEST(Wire, EveryFrameIsWhole) {
    for (const auto& [name, frame] : built()) EXPECT_EQ(check(frame.view()), FrameFault::none) << name;
}

TEST(Wire, CutAtEveryByteIsRefused) {
    for (const auto& [name, frame] : built())
        for (uint32_t length = kFrameHeaderBytes; length < frame.size(); ++length) {
            std::vector<std::byte> bytes(frame.view().begin(), frame.view().begin() + length);
            EXPECT_NE(check(bytes), FrameFault::none) << name << " " << length;
            // Also when the length tells of the cut: then the checksum doesn't fit.
            std::memcpy(bytes.data(), &length, 4);
            EXPECT_NE(check(bytes), FrameFault::none) << name << " " << length;
        }
}

TEST(Wire, EveryFlippedBitOfHeaderAndFixedPartIsFound) {
    for (const auto& [name, frame] : built()) {
        uint32_t covered = kFrameHeaderBytes + fixed_size(frame.view().subspan(kFrameHeaderBytes));
        for (uint32_t bit = 0; bit < covered * 8; ++bit) {
            std::vector<std::byte> bytes(frame.view().begin(), frame.view().end());
            bytes[bit / 8] ^= std::byte{1} << (bit % 8);
            EXPECT_NE(check(bytes), FrameFault::none) << name << " bit " << bit;
        }
    }
}

// The body is not covered by the frame's checksum; its own must find what the frame's doesn't.
TEST(Wire, EveryFlippedBitOfABodyIsFoundByItsOwnChecksum) {
    Slice frame = append_frame();
    uint32_t from = kFrameHeaderBytes + sizeof(Append);
    for (uint32_t bit = from * 8; bit < frame.size() * 8; ++bit) {
        std::vector<std::byte> bytes(frame.view().begin(), frame.view().end());
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
        Append append;
        ASSERT_TRUE(read_fixed(ByteView(bytes).subspan(kFrameHeaderBytes), append));
        EXPECT_NE(check_body(append.draft, ByteView(bytes).subspan(from)), EntryFault::none) << bit;
    }
}

// A newer sender appends fields: the older reader takes what it knows, and the rest still begins where it
// does.
TEST(Wire, LongerFixedPartsAreRead) {
    struct Longer {
        TailCredit known;
        uint64_t added;
    } longer{{sizeof longer, 0, 77}, 5};
    Slice frame = make_frame(FrameType::tail_credit, 3, fixed_bytes(longer), as_bytes("rest"));
    ASSERT_EQ(check(frame.view()), FrameFault::none);
    ByteView payload = frame.view().subspan(kFrameHeaderBytes);
    TailCredit credit;
    ASSERT_TRUE(read_fixed(payload, credit));
    EXPECT_EQ(credit.bytes, 77u);
    EXPECT_EQ(as_text(payload.subspan(fixed_size(payload))), "rest");
    TailOpen too_long_for_it;
    EXPECT_FALSE(read_fixed(payload, too_long_for_it));
}

TEST(Wire, SizesThatLieAreRefused) {
    for (uint32_t size : {0u, 3u, 17u, 0x7fffffffu, 0xffffffffu}) {
        TailCredit credit{size, 0, 1};
        ByteView payload = fixed_bytes(credit);
        FrameHeader header{32, 36, 0, 0, 0};
        EXPECT_EQ(check_payload(header, payload), FrameFault::too_short) << size;
        TailCredit read;
        EXPECT_FALSE(read_fixed(payload, read));
        EXPECT_TRUE(message_in(payload).empty());
    }
    EXPECT_EQ(check_header({19, 1, 0, 0, 0}, 1000), FrameFault::too_short);
    EXPECT_EQ(check_header({1001, 1, 0, 0, 0}, 1000), FrameFault::too_long);
    EXPECT_EQ(check_header({1000, 1, 0, 0, 0}, 1000), FrameFault::none);
}

TEST(Wire, AMessageComesOutAsItWentIn) {
    Slice frame = make_message_frame(FrameType::request, 9, as_bytes("message"));
    EXPECT_EQ(as_text(message_in(frame.view().subspan(kFrameHeaderBytes))), "message");
    EXPECT_EQ(header_of(frame.view()).stream, 9u);
    Slice empty = make_message_frame(FrameType::request, 9, {});
    EXPECT_EQ(check(empty.view()), FrameFault::none);
}

// Head and rest in two slices are the same bytes as in one.
TEST(Wire, AFrameInPartsIsTheSameFrame) {
    Slice whole = append_frame();
    ByteView payload = whole.view().subspan(kFrameHeaderBytes);
    ByteView body = payload.subspan(sizeof(Append));
    Slice head = make_frame_head(FrameType::append, 1, payload.first(sizeof(Append)), body.size());
    EXPECT_EQ(hex_of(head.view()) + hex_of(body), hex_of(whole.view()));
}

}  // namespace
}  // namespace raftd::proto
