#include "raft/record.h"

#include <deque>

#include "base/checksum.h"
#include "base/codec.h"
#include "raft/state.h"

namespace raftd::raft {

namespace {
// Changes with the layout of what is saved; beside it, the size of the state tells builds apart.
constexpr uint64_t kLayout = 0x7261'6674'6262'0003u ^ (uint64_t{sizeof(Core::State)} << 16);

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsRing : std::false_type {};
template <class T>
struct IsRing<Ring<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVariant : std::false_type {};
template <class... T>
struct IsVariant<std::variant<T...>> : std::true_type {};

/// Writes values field by field; what has no fields() and no parts is written as it lies in memory.
class Saver {
public:
    template <class... T>
    void operator()(T&... values) {
        (one(values), ...);
    }
    /// As it lies in memory, with zeros between its fields so that equal values give equal bytes.
    template <class T>
    void raw_bytes(T value) {
#if defined(__GNUC__) && !defined(__clang__)
        __builtin_clear_padding(&value);
#endif
        out.put(value);
    }
    ByteWriter out;

private:
    template <class T>
    void one(T& value) {
        if constexpr (requires { value.fields(*this); }) {
            value.fields(*this);
        } else if constexpr (IsVector<T>::value || IsRing<T>::value) {
            out.put(uint64_t{value.size()});
            for (size_t at = 0; at < value.size(); ++at) one(value[at]);
        } else if constexpr (IsOptional<T>::value) {
            out.put(static_cast<uint8_t>(value.has_value()));
            if (value) one(*value);
        } else if constexpr (IsVariant<T>::value) {
            out.put(static_cast<uint8_t>(value.index()));
            std::visit([&](auto& held) { one(held); }, value);
        } else if constexpr (std::is_same_v<T, Membership>) {
            (*this)(value.now, value.next, value.leave_joint);
        } else if constexpr (std::is_same_v<T, ConfigAt>) {
            (*this)(value.index, value.members);
        } else if constexpr (std::is_same_v<T, std::pair<ReadId, Index>>) {
            (*this)(value.first, value.second);
        } else if constexpr (std::is_same_v<T, Random>) {
            out.put(value.state());
        } else {
            raw_bytes(value);
        }
    }
};

class Loader {
public:
    explicit Loader(ByteView bytes) : in(bytes) {}
    template <class... T>
    void operator()(T&... values) {
        (one(values), ...);
    }
    ByteReader in;

private:
    template <class T>
    void one(T& value) {
        if constexpr (requires { value.fields(*this); }) {
            value.fields(*this);
        } else if constexpr (IsVector<T>::value || IsRing<T>::value) {
            value.clear();
            // Each element takes a byte at least, so a damaged count ends at the end of the bytes.
            for (uint64_t left = in.get<uint64_t>(); left > 0 && in.ok(); --left) {
                std::remove_cvref_t<decltype(value[0])> element{};
                one(element);
                value.push_back(std::move(element));
            }
        } else if constexpr (IsOptional<T>::value) {
            value.reset();
            if (in.get<uint8_t>() != 0) one(value.emplace(typename T::value_type{}));
        } else if constexpr (IsVariant<T>::value) {
            alternative(value, in.get<uint8_t>(), std::make_index_sequence<std::variant_size_v<T>>());
        } else if constexpr (std::is_same_v<T, Membership>) {
            (*this)(value.now, value.next, value.leave_joint);
        } else if constexpr (std::is_same_v<T, ConfigAt>) {
            (*this)(value.index, value.members);
        } else if constexpr (std::is_same_v<T, std::pair<ReadId, Index>>) {
            (*this)(value.first, value.second);
        } else if constexpr (std::is_same_v<T, Random>) {
            value = Random(in.get<uint64_t>());
        } else {
            value = in.get<T>();
        }
    }
    template <class Variant, size_t... At>
    void alternative(Variant& value, size_t index, std::index_sequence<At...>) {
        ((index == At ? one(value.template emplace<At>()) : void()), ...);
    }
};

template <class Archive>
void fields(Archive& archive, Core::State& s) {
    archive(s.options, s.self, s.random, s.now, s.health, s.boot, s.hard, s.hard_dirty, s.hard_write, s.log,
            s.commit, s.durable, s.role, s.last_write, s.durable_write, s.writes, s.written, s.kept,
            s.promised, s.removed_at_index, s.counted_on, s.unfit_peers, s.met_peers, s.readers_waiting,
            s.read_counter, s.fetch_counter, s.asked_reads, s.waiting, s.answer, s.reset, s.install,
            s.lost_after, s.diverged, s.transfer_end, s.reads_done, s.reads_failed, s.role_told,
            s.config_told, s.checking);
}

/// The end of a record: a checksum over all before it.
std::vector<std::byte> sealed(ByteWriter out) {
    out.put(checksum(out.view()));
    return out.take();
}
std::optional<ByteView> opened(ByteView bytes) {
    if (bytes.size() < 2 * sizeof(uint64_t)) return std::nullopt;
    const ByteView content = bytes.first(bytes.size() - sizeof(uint64_t));
    ByteReader seal(bytes.last(sizeof(uint64_t))), layout(content);
    if (seal.get<uint64_t>() != checksum(content) || layout.get<uint64_t>() != kLayout) return std::nullopt;
    return content.subspan(sizeof(uint64_t));
}
}  // namespace

std::vector<std::byte> save(const Core& core) {
    Core::State copy = core.state();
    Saver saver;
    saver.out.put(kLayout);
    fields(saver, copy);
    return sealed(std::move(saver.out));
}

std::optional<Core> load(ByteView bytes) {
    const std::optional<ByteView> content = opened(bytes);
    if (!content) return std::nullopt;
    auto state = std::make_unique<Core::State>(Options{});
    Loader loader(*content);
    fields(loader, *state);
    if (!loader.in.done()) return std::nullopt;
    return Core(std::move(state));
}

// --- events
// --------------------------------------------------------------------------------------------------

namespace {
void put_entries(Saver& saver, std::span<const EntryMeta> entries) {
    saver.out.put(uint64_t{entries.size()});
    for (const EntryMeta& entry : entries) {
        saver.out.put(entry.id);
        saver.out.put(entry.bytes);
        saver.out.put(static_cast<uint8_t>(entry.membership != nullptr));
        if (entry.membership == nullptr) continue;
        Membership members = *entry.membership;
        saver(members);
    }
}
void put_what(Saver& saver, const ev::Propose& what) { put_entries(saver, what.entries); }
void put_what(Saver& saver, const ev::ProposeMembership& what) {
    Membership target = what.target;
    saver(target);
}
void put_what(Saver& saver, const ev::Message& what) {
    msg::Any message = what.message;
    saver.out.put(what.from);
    saver(message);
    put_entries(saver, what.entries);
}
void put_what(Saver& saver, const ev::Installed& what) {
    Membership members = what.members;
    saver.out.put(what.at);
    saver(members);
    saver.out.put(what.ids_used_upto);
}
void put_what(Saver& saver, const ev::Mended& what) {
    std::vector<TermRun> runs(what.runs.begin(), what.runs.end());
    std::vector<ConfigAt> configs(what.configs.begin(), what.configs.end());
    saver.out.put(what.first);
    saver.out.put(what.last);
    saver(runs, configs);
}
template <class What>
requires(std::is_trivially_copyable_v<What> &&
         !std::is_same_v<What, ev::Mended>) void put_what(Saver& saver, const What& what) {
    saver.out.put(what);
}
}  // namespace

std::vector<std::byte> encode(const Event& event) {
    Saver saver;
    saver.out.put(kLayout);
    saver.out.put(event.now);
    saver.out.put(static_cast<uint8_t>(event.what.index()));
    std::visit([&](const auto& what) { put_what(saver, what); }, event.what);
    return sealed(std::move(saver.out));
}

struct RecordedEvent::Body {
    Event event;
    std::vector<EntryMeta> entries;
    std::deque<Membership> memberships;  // a deque, so that pointers to its elements stay
    std::vector<TermRun> runs;
    std::vector<ConfigAt> configs;

    void get_entries(Loader& loader) {
        for (uint64_t left = loader.in.get<uint64_t>(); left > 0 && loader.in.ok(); --left) {
            EntryMeta entry;
            entry.id = loader.in.get<EntryId>();
            entry.bytes = loader.in.get<uint32_t>();
            if (loader.in.get<uint8_t>() != 0) {
                loader(memberships.emplace_back());
                entry.membership = &memberships.back();
            }
            entries.push_back(entry);
        }
    }
    void get_what(Loader& loader, ev::Propose& what) {
        get_entries(loader);
        what.entries = entries;
    }
    void get_what(Loader& loader, ev::ProposeMembership& what) { loader(what.target); }
    void get_what(Loader& loader, ev::Message& what) {
        what.from = loader.in.get<NodeId>();
        loader(what.message);
        get_entries(loader);
        what.entries = entries;
    }
    void get_what(Loader& loader, ev::Installed& what) {
        what.at = loader.in.get<EntryId>();
        loader(what.members);
        what.ids_used_upto = loader.in.get<NodeId>();
    }
    void get_what(Loader& loader, ev::Mended& what) {
        what.first = loader.in.get<Index>();
        what.last = loader.in.get<Index>();
        loader(runs, configs);
        what.runs = runs;
        what.configs = configs;
    }
    template <class What>
    requires(std::is_trivially_copyable_v<What> &&
             !std::is_same_v<What, ev::Mended>) void get_what(Loader& loader, What& what) {
        what = loader.in.get<What>();
    }
    template <size_t... At>
    void get_alternative(Loader& loader, size_t index, std::index_sequence<At...>) {
        ((index == At ? get_what(loader, event.what.emplace<At>()) : void()), ...);
    }
};

std::optional<RecordedEvent> RecordedEvent::decode(ByteView bytes) {
    const std::optional<ByteView> content = opened(bytes);
    if (!content) return std::nullopt;
    auto body = std::make_unique<Body>();
    Loader loader(*content);
    body->event.now = loader.in.get<Instant>();
    body->get_alternative(loader, loader.in.get<uint8_t>(),
                          std::make_index_sequence<std::variant_size_v<decltype(Event::what)>>());
    if (!loader.in.done()) return std::nullopt;
    return RecordedEvent(std::move(body));
}

RecordedEvent::RecordedEvent(std::unique_ptr<Body> body) : body_(std::move(body)) {}
RecordedEvent::RecordedEvent(RecordedEvent&&) noexcept = default;
RecordedEvent& RecordedEvent::operator=(RecordedEvent&&) noexcept = default;
RecordedEvent::~RecordedEvent() = default;
const Event& RecordedEvent::event() const { return body_->event; }

}  // namespace raftd::raft
