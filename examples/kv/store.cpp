#include "kv/store.h"

namespace kv {
namespace {

constexpr int kFormat = 1;  // of a checkpoint

Json yes(const Json& value) { return {{"ok", true}, {"value", value}}; }

}  // namespace

Json Store::get(const std::string& key) const {
    auto found = values_.find(key);
    return yes(found == values_.end() ? Json() : found->second);
}

Json Store::apply(const Command& command) {
    switch (command.op) {
        case Command::Op::get: return get(command.key);
        case Command::Op::del: values_.erase(command.key); return yes(nullptr);
        case Command::Op::set: break;
        case Command::Op::cas:
            auto found = values_.find(command.key);
            if ((found == values_.end() ? Json() : found->second) != command.old) return {{"ok", false}};
            break;
    }
    values_[command.key] = command.value;
    return yes(command.value);
}

std::string Store::save() const { return Json{{"format", kFormat}, {"values", values_}}.dump(); }

raftd::Result<Store> Store::load(std::string_view text) {
    try {
        const Json saved = Json::parse(text);
        if (saved.at("format") != kFormat)
            return raftd::error(raftd::Errc::too_new,
                                "the checkpoint has a format that this kvd doesn't know");
        Store store;
        store.values_ = saved.at("values").get<std::map<std::string, Json>>();
        return store;
    } catch (const Json::exception&) {
        return raftd::error(raftd::Errc::damaged, "the newest checkpoint is none of a kvd");
    }
}

}  // namespace kv
