#include "daemon/black_box.h"

#include "base/codec.h"
#include "raft/record.h"
#include "raft/text.h"

namespace raftd::daemon {
namespace {

constexpr uint64_t kMagic = 0x31584f4242544652;  // "RFTBBOX1"
constexpr uint32_t kHalfItemsMax = 8192;
constexpr uint64_t kHalfBytesMax = 8u << 20;
constexpr uint8_t kEvent = 1, kCollect = 2;

}  // namespace

void BlackBox::make_room(const raft::Core& core) {
    if (!newer_.state.empty() && newer_.count < kHalfItemsMax && newer_.items.size() < kHalfBytesMax) return;
    std::swap(older_, newer_);
    newer_.state = raft::save(core);
    newer_.items.clear();
    newer_.count = 0;
}

void BlackBox::add(uint8_t kind, ByteView bytes) {
    auto length = static_cast<uint32_t>(bytes.size());
    const auto* first = reinterpret_cast<const std::byte*>(&length);
    newer_.items.push_back(std::byte{kind});
    newer_.items.insert(newer_.items.end(), first, first + sizeof length);
    newer_.items.insert(newer_.items.end(), bytes.begin(), bytes.end());
    ++newer_.count;
}

void BlackBox::stepping(const raft::Core& core, const raft::Event& event) {
    if (!on_) return;
    make_room(core);
    add(kEvent, raft::encode(event));
}

void BlackBox::collecting(const raft::Core& core) {
    if (!on_) return;
    make_room(core);
    add(kCollect, {});
}

std::vector<std::byte> BlackBox::bytes() const {
    if (!on_ || newer_.state.empty()) return {};
    const Half& first = older_.state.empty() ? newer_ : older_;
    ByteWriter writer;
    writer.put(kMagic);
    writer.put(static_cast<uint64_t>(first.state.size()));
    writer.put_bytes(first.state);
    writer.put_bytes(first.items);
    if (&first != &newer_) writer.put_bytes(newer_.items);
    return writer.take();
}

Result<uint64_t> replay(ByteView box, const std::function<void(const std::string& line)>& say) {
    ByteReader reader(box);
    if (reader.get<uint64_t>() != kMagic) return error(Errc::bad_input, "this is no black box of raftd");
    auto core = raft::load(reader.bytes(reader.get<uint64_t>()));
    if (!reader.ok() || !core)
        return error(Errc::bad_input, "the black box is damaged, or of another build of raftd",
                     "replay it with the raftsim that was built with the raftd that wrote it");
    core->check_invariants(true);
    raft::Output output;
    uint64_t count = 0;
    while (!reader.done()) {
        auto kind = reader.get<uint8_t>();
        ByteView bytes = reader.bytes(reader.get<uint32_t>());
        if (!reader.ok()) return error(Errc::bad_input, "the black box ends in the middle of an event");
        ++count;
        if (kind == kCollect) {
            core->collect(output);
            continue;
        }
        auto event = raft::RecordedEvent::decode(bytes);
        if (!event) return error(Errc::bad_input, "the black box holds an event that can't be read");
        say(raft::text(event->event()));
        core->step(event->event());
    }
    return count;
}

}  // namespace raftd::daemon
