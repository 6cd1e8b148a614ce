// Leader election and nothing else, with raftd::raft and a transport of one's own (UDP). The two callbacks at
// the top are where an application begins; one file a member holds what must survive a restart.
//   election ID DIR HOST:PORT HOST:PORT ...    member ID (from 1) of those addresses; keeps its state in DIR
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "raft/core.h"

using namespace raftd;
void on_leading(Term term) { std::printf("leading term=%lu\n", raw(term)); }
void on_following(Term term, NodeId of) { std::printf("following n%lu term=%lu\n", raw(of), raw(term)); }

/// All that must be durable: term, vote, and the log, which holds one empty entry for each reign: its term.
struct Disk {
    HardState hard;
    std::vector<uint64_t> terms;
};

void must(bool good, const char* what) {
    if (!good) std::perror(what), std::exit(1);
}
void save(const std::string& dir, const Disk& disk) {
    std::vector<uint64_t> words{raw(disk.hard.term), raw(disk.hard.vote)};
    words.insert(words.end(), disk.terms.begin(), disk.terms.end());
    const std::string path = dir + "/raft", fresh = path + ".new";
    const int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int folder = open(dir.c_str(), O_RDONLY);
    const auto size = static_cast<ssize_t>(words.size() * sizeof words[0]);
    must(write(file, words.data(), static_cast<size_t>(size)) == size && fsync(file) == 0, "write");
    must(rename(fresh.c_str(), path.c_str()) == 0 && fsync(folder) == 0, "rename");
    close(file), close(folder);
}
Disk load(const std::string& dir) {
    std::vector<uint64_t> words(1u << 20);
    FILE* file = std::fopen((dir + "/raft").c_str(), "r");
    if (file == nullptr) return {};
    words.resize(std::fread(words.data(), sizeof words[0], words.size(), file));
    must(std::fclose(file) == 0 && words.size() >= 2, "the state is damaged");
    return {{Term{words[0]}, NodeId{words[1]}}, {words.begin() + 2, words.end()}};
}

constexpr ssize_t kMessageWords = (sizeof(raft::msg::Any) + 7) / 8;
struct Elector {
    NodeId id;
    std::string dir;
    std::vector<sockaddr_in> addresses;
    int socket;
    Disk disk;
    raft::Core core;
    static Instant now() {
        timespec time{};
        clock_gettime(CLOCK_MONOTONIC, &time);
        return Instant{} + seconds(time.tv_sec) + Duration{time.tv_nsec};
    }
    void step(decltype(raft::Event::what) what, const std::vector<raft::EntryMeta>& entries = {}) {
        const auto taken = core.step({now(), std::move(what)});
        disk.terms.resize(std::min<size_t>(disk.terms.size(), raw(taken.keep_upto)));
        for (const auto& entry : entries)
            if (entry.id.index > taken.keep_upto && entry.id.index <= taken.last)
                disk.terms.push_back(raw(entry.id.term));
    }
    /// Does what the core asks for (raft/README.md). The disk is waited for, so every send may leave.
    void turn() {
        raft::Output output;
        core.collect(output);
        if (output.write) disk.hard = output.write->hard, save(dir, disk);
        for (const raft::Send& letter : output.send) send(letter);
        const auto& role = output.role;
        if (role && role->leading) on_leading(role->term);
        if (role && !role->leading && role->leader != NodeId{}) on_following(role->term, role->leader);
        if (output.write) step(raft::ev::Durable{output.write->id});
        if (output.want) {
            const std::vector<raft::EntryMeta> noop{{core.next_id(), 96, nullptr}};
            step(raft::ev::Propose{noop}, noop);
        }
        for (const auto& ask : output.fetch)  // entries are but their ids
            step(raft::ev::Fetched{ask.id, ask.to, ask.first, core.last(), 96, raft::ev::Got::ok});
        if (output.write || output.want || !output.fetch.empty()) turn();
    }
    /// The message as it lies in memory (all members are this very program), then the terms of its entries.
    void send(const raft::Send& letter) {
        std::vector<uint64_t> words(1 + kMessageWords);
        words[0] = raw(id);
        std::memcpy(&words[1], &letter.message, sizeof letter.message);
        if (const auto* append = std::get_if<raft::msg::Append>(&letter.message))
            for (Index at = append->prev.index + 1; at <= append->last; ++at)
                words.push_back(raw(core.term_at(at)));
        const auto* to = reinterpret_cast<const sockaddr*>(&addresses[raw(letter.to) - 1]);
        (void)sendto(socket, words.data(), words.size() * 8, 0, to, sizeof addresses[0]);
    }
    void receive() {
        uint64_t words[512] = {};
        const auto size = recv(socket, words, sizeof words, MSG_DONTWAIT) / 8;
        raft::msg::Any message;
        std::memcpy(static_cast<void*>(&message), words + 1, sizeof message);
        const bool known = message.index() < std::variant_size_v<raft::msg::Any>;
        if (!known || size < 1 + kMessageWords || words[0] == 0 || words[0] > addresses.size()) return;
        std::vector<raft::EntryMeta> entries;
        if (const auto* append = std::get_if<raft::msg::Append>(&message))
            for (auto at = 1 + kMessageWords; at < size; ++at)
                entries.push_back({{Term{words[at]}, append->prev.index + entries.size() + 1}, 96, nullptr});
        step(raft::ev::Message{NodeId{words[0]}, message, entries}, entries);
    }
};

int main(int argc, char** argv) {
    must(argc > 3, "election ID DIR HOST:PORT ...");
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const NodeId id{std::strtoull(argv[1], nullptr, 10)};
    std::vector<sockaddr_in> addresses;
    Membership members;
    for (int at = 3; at < argc; ++at) {
        const std::string text = argv[at], host = text.substr(0, text.find(':'));
        const int port = std::atoi(text.c_str() + host.size() + 1);
        addresses.push_back({AF_INET, htons(static_cast<uint16_t>(port)), {inet_addr(host.c_str())}, {}});
        members.now.push_back({NodeId{addresses.size()}});
    }
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    const auto* mine = reinterpret_cast<const sockaddr*>(&addresses.at(raw(id) - 1));
    must(bind(udp, mine, sizeof addresses[0]) == 0, "bind");
    const Disk disk = load(argv[2]);
    std::vector<TermRun> runs;
    for (size_t at = 0; at < disk.terms.size(); ++at)
        if (runs.empty() || raw(runs.back().term) != disk.terms[at])
            runs.push_back({Term{disk.terms[at]}, Index{at + 1}});
    const std::vector<ConfigAt> genesis{{Index{0}, members}};
    const raft::Restart restart{disk.hard, {}, runs, Index{disk.terms.size()}, genesis, {}, 1, {}};
    const auto seed = static_cast<uint64_t>(getpid());
    Elector elector{id, argv[2], addresses, udp, disk, raft::Core({}, id, restart, seed, Elector::now())};
    for (;;) {
        elector.turn();
        const int64_t left = (elector.core.deadline() - Elector::now()).ns / 1'000'000 + 1;
        pollfd ready{udp, POLLIN, 0};
        poll(&ready, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1000)));
        elector.receive();
        elector.step(raft::ev::Tick{});
    }
}
