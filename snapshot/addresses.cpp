#include "snapshot/addresses.h"

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

namespace raftd::snapshot {
namespace {

using Json = nlohmann::json;
constexpr uint64_t kAddressesFormat = 1, kBytesMax = 1u << 20;
constexpr const char* kName = "addresses";

AddressHint hint_in(const Json& json) {
    AddressHint hint;
    hint.id = NodeId{json.at("id").get<uint64_t>()};
    hint.peer = json.at("peer").get<std::string>();
    hint.client = json.at("client").get<std::string>();
    hint.peer_before = json.at("peer_before").get<std::string>();
    hint.client_before = json.at("client_before").get<std::string>();
    return hint;
}

}  // namespace

Result<AddressHints> read_addresses(io::Files& files, const std::string& data_dir) {
    const std::string path = data_dir + "/" + kName;
    std::string text;
    io::FileResult got = io::read_file(files, path, kBytesMax, text);
    if (got.error == ENOENT) return AddressHints{};
    if (got.error != 0) return error(Errc::io, "can't read " + path + ": " + std::strerror(got.error));
    try {
        Json json = Json::parse(text);
        if (json.at("format").get<uint64_t>() > kAddressesFormat)
            return error(Errc::too_new, path + " was written by a newer version");
        AddressHints hints;
        for (const Json& one : json.at("members")) hints.push_back(hint_in(one));
        return hints;
    } catch (const std::exception& fault) {
        return error(Errc::damaged, path + ": " + fault.what(),
                     "remove it: the addresses of the configuration count then");
    }
}

Result<void> write_addresses(io::Files& files, const std::string& data_dir, const AddressHints& hints) {
    Json members = Json::array();
    for (const AddressHint& hint : hints)
        members.push_back({{"id", raw(hint.id)},
                           {"peer", hint.peer},
                           {"client", hint.client},
                           {"peer_before", hint.peer_before},
                           {"client_before", hint.client_before}});
    Json json = {{"format", kAddressesFormat}, {"members", std::move(members)}};
    const std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
    io::FileResult done = io::write_file_atomically(files, data_dir, kName, as_bytes(text));
    if (done.error != 0)
        return error(Errc::io, "can't write " + data_dir + "/" + kName + ": " + std::strerror(done.error));
    return {};
}

void take_addresses(MemberInfos& infos, const AddressHints& hints) {
    for (const AddressHint& hint : hints) {
        auto known = infos.find(hint.id);
        if (known == infos.end()) continue;
        MemberInfo& info = known->second;
        if (!hint.peer.empty() && info.peer == hint.peer_before) info.peer = hint.peer;
        if (!hint.client.empty() && info.client == hint.client_before) info.client = hint.client;
    }
}

}  // namespace raftd::snapshot
