#include "tests/support/fake_log.h"

namespace raftd::fakes {

using proto::AppendCode;

EntryHeader FakeLog::add(const EntryHeader& draft, ByteView body, Term term) {
    EntryHeader header{};
    header.kind = draft.kind;
    header.body_bytes = draft.body_bytes;
    header.record_count = draft.record_count;
    header.body_checksum = draft.body_checksum;
    header.producer = draft.producer;
    header.producer_epoch = draft.producer_epoch;
    header.sequence = draft.sequence;
    finish_header(header, end(), term, 5000 + entries.size() * 1000);
    std::vector<std::byte> bytes(sizeof header);
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes.insert(bytes.end(), body.begin(), body.end());
    entries.push_back(std::move(bytes));
    points.push_back(point_after(header));
    return header;
}

void FakeLog::add_text(const std::vector<std::string>& texts, Term term) {
    std::vector<ByteView> views;
    uint64_t payload = 0;
    for (const std::string& text : texts) {
        views.push_back(as_bytes(text));
        payload += text.size();
    }
    std::vector<std::byte> body(body_bytes_for(views.size(), payload));
    encode_body(views, body);
    add(draft_batch(static_cast<uint32_t>(views.size()), body), body, term);
}

void FakeLog::add_noop(Term term) {
    EntryHeader draft = draft_batch(0, {});
    draft.kind = EntryKind::noop;
    add(draft, {}, term);
}

bool FakeLog::fresh(const EntryHeader& draft) const {
    auto found = producers.find(draft.producer);
    return draft.producer == 0 || (found != producers.end() && found->second.epoch == draft.producer_epoch &&
                                   found->second.last + 1 == draft.sequence);
}

AppendCode FakeLog::add_numbered(const EntryHeader& draft, ByteView body, EntryHeader& header,
                                 uint64_t& value) {
    auto found = producers.find(draft.producer);
    if (found == producers.end()) return AppendCode::expired;
    FakeProducer& producer = found->second;
    value = producer.epoch;
    if (draft.producer_epoch != producer.epoch) return AppendCode::fenced;
    value = producer.last;
    if (draft.sequence == 0 || draft.sequence > producer.last + 1) return AppendCode::out_of_order;
    if (draft.sequence <= producer.last) {
        auto answer = producer.answers.find(draft.sequence);
        if (answer == producer.answers.end()) return AppendCode::repeated_forgotten;
        header = answer->second;
        return header.body_checksum == draft.body_checksum ? AppendCode::repeated
                                                           : AppendCode::sequence_reused;
    }
    header = add(draft, body);
    producer.last = draft.sequence;
    producer.records += draft.record_count;
    producer.answers[draft.sequence] = header;
    return AppendCode::committed;
}

FakeProducer* FakeLog::find_producer(const std::string& name, uint64_t id) {
    for (auto& [known, producer] : producers)
        if (id != 0 ? known == id : !name.empty() && producer.name == name) return &producer;
    return nullptr;
}

FakeProducer* FakeLog::open_producer(const std::string& name, uint64_t id) {
    FakeProducer* producer = find_producer(name, id);
    if (producer == nullptr && id != 0) return nullptr;
    EntryHeader draft = draft_batch(0, {});
    draft.kind = EntryKind::producer;
    uint64_t index = add(draft, {}).index;
    if (producer == nullptr) return &(producers[index] = {index, 1, 0, 0, name, {}});
    ++producer->epoch;
    return producer;
}

std::vector<std::string> FakeLog::records() const {
    std::vector<std::string> all;
    for (const auto& bytes : entries) {
        EntryCursor cursor(bytes);
        const EntryHeader* header = cursor.next();
        if (header->kind != EntryKind::batch) continue;
        RecordReader reader(*header, cursor.body());
        while (auto record = reader.next()) all.emplace_back(as_text(*record));
    }
    return all;
}

}  // namespace raftd::fakes
