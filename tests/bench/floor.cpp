// The floor under any replicated log on this machine: a leader and two followers that take framed appends
// over TCP, write what came in groups to a zero-filled file, fdatasync, and answer when two of three have it.
// The same frames, the same threads (loop, disk) and the same load generator as ours, but no terms, no
// checksums on the way, no log that could be read again. What raftd needs beyond this is the price of being a
// log.
//
// bench_floor --dir DIR [options of bench_load]: starts the three, runs one load, prints its JSON.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "proto/client.h"
#include "proto/frame.h"
#include "tests/bench/arguments.h"

namespace {

using namespace raftd;
using namespace raftd::proto;
constexpr uint64_t kFileBytes = 64u << 20;
constexpr uint64_t kBlock = 4096;

[[noreturn]] void die(const char* what) {
    std::perror(what);
    ::_exit(1);
}

/// One group at a time: written at the next block, synced, told by an eventfd.
class GroupDisk {
public:
    explicit GroupDisk(const std::string& path)
        : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)),
          done_(::eventfd(0, EFD_NONBLOCK)),
          thread_([this] { run(); }) {
        std::string zeros(1u << 20, '\0');
        for (uint64_t at = 0; at < kFileBytes; at += zeros.size())
            if (::pwrite(file_, zeros.data(), zeros.size(), static_cast<off_t>(at)) < 0) die("zeros");
        if (::fsync(file_) != 0) die("fsync");
    }
    bool busy() const { return busy_; }
    int descriptor() const { return done_; }
    /// Takes all of `bytes`.
    void write(std::string& bytes) {
        busy_ = true;
        {
            std::lock_guard lock(mutex_);
            group_.swap(bytes);
            wanted_ = true;
        }
        bytes.clear();
        work_.notify_one();
    }
    /// Bytes synced by the group that has ended.
    uint64_t finish() {
        uint64_t count = 0;
        if (::read(done_, &count, sizeof count) != sizeof count) return 0;
        busy_ = false;
        return group_bytes_;
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            work_.wait(lock, [this] { return wanted_; });
            wanted_ = false;
            group_bytes_ = group_.size();
            group_.resize((group_.size() + kBlock - 1) / kBlock * kBlock);
            if (at_ + group_.size() > kFileBytes) at_ = 0;
            if (::pwrite(file_, group_.data(), group_.size(), static_cast<off_t>(at_)) < 0) die("pwrite");
            at_ += group_.size();
            if (::fdatasync(file_) != 0) die("fdatasync");
            uint64_t one = 1;
            if (::write(done_, &one, sizeof one) != sizeof one) die("eventfd");
        }
    }

    int file_, done_;
    bool busy_ = false;
    std::mutex mutex_;
    std::condition_variable work_;
    std::string group_;
    uint64_t group_bytes_ = 0, at_ = 0;
    bool wanted_ = false;
    std::thread thread_;
};

int listen_anywhere(uint16_t& port) {
    int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof at;
    if (::bind(socket, reinterpret_cast<sockaddr*>(&at), bytes) != 0 || ::listen(socket, 64) != 0)
        die("listen");
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&at), &bytes);
    port = ntohs(at.sin_port);
    return socket;
}

int dial(uint16_t port) {
    int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) die("connect");
    return socket;
}

void no_delay(int socket) {
    int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void send_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0) die("send");
        bytes.remove_prefix(static_cast<size_t>(sent));
    }
}

/// Appends what is there; false at the end of the stream.
bool receive_into(int socket, std::string& into) {
    size_t before = into.size();
    into.resize(before + (256u << 10));
    ssize_t got = ::recv(socket, into.data() + before, into.size() - before, 0);
    into.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return got > 0;
}

[[noreturn]] void be_follower(int listener, const std::string& file) {
    GroupDisk disk(file);
    int leader = ::accept(listener, nullptr, nullptr);
    no_delay(leader);
    std::string incoming;
    uint64_t synced = 0;
    for (;;) {
        std::array<pollfd, 2> asked = {pollfd{leader, POLLIN, 0}, pollfd{disk.descriptor(), POLLIN, 0}};
        ::poll(asked.data(), asked.size(), -1);
        if (asked[0].revents != 0 && !receive_into(leader, incoming)) ::_exit(0);
        if (asked[1].revents != 0) {
            synced += disk.finish();
            send_all(leader, {reinterpret_cast<const char*>(&synced), sizeof synced});
        }
        if (!disk.busy() && !incoming.empty()) disk.write(incoming);
    }
}

class Leader {
public:
    Leader(int listener, uint16_t first, uint16_t second, const std::string& file)
        : listener_(listener), followers_{dial(first), dial(second)}, disk_(file) {
        for (int follower : followers_) no_delay(follower);
    }
    [[noreturn]] void run() {
        for (;;) {
            std::vector<pollfd> asked = {{disk_.descriptor(), POLLIN, 0},
                                         {followers_[0], POLLIN, 0},
                                         {followers_[1], POLLIN, 0},
                                         {listener_, POLLIN, 0}};
            for (const auto& client : clients_) asked.push_back({client->socket, POLLIN, 0});
            ::poll(asked.data(), asked.size(), -1);
            if (asked[0].revents != 0) synced_[2] += disk_.finish();
            for (size_t i : {0u, 1u})
                if (asked[i + 1].revents != 0) hear(i);
            for (size_t i = 4; i < asked.size(); ++i)
                if (asked[i].revents != 0) take_appends(*clients_[i - 4]);
            if (asked[3].revents != 0) {
                clients_.push_back(std::make_unique<Client>());
                clients_.back()->socket = ::accept(listener_, nullptr, nullptr);
                no_delay(clients_.back()->socket);
            }
            if (!fresh_.empty()) {
                for (int follower : followers_) send_all(follower, fresh_);
                for_disk_ += fresh_;
                fresh_.clear();
            }
            if (!disk_.busy() && !for_disk_.empty()) disk_.write(for_disk_);
            answer();
        }
    }

private:
    struct Client {
        int socket = -1;
        std::string in;
        std::vector<AppendDoneItem> items;
    };
    struct Waiting {
        Client* client;
        uint32_t stream;
        uint64_t end;
    };

    void hear(size_t follower) {
        std::array<uint64_t, 512> all;
        ssize_t got = ::recv(followers_[follower], all.data(), sizeof all, 0);
        if (got <= 0 || got % 8 != 0) ::_exit(0);
        synced_[follower] = all[static_cast<size_t>(got) / 8 - 1];
    }

    void take_appends(Client& client) {
        if (!receive_into(client.socket, client.in)) ::_exit(0);
        size_t at = 0;
        FrameHeader header{};
        while (client.in.size() - at >= sizeof header) {
            std::memcpy(&header, client.in.data() + at, sizeof header);
            if (client.in.size() - at < header.length) break;
            fresh_.append(client.in, at, header.length);
            appended_ += header.length;
            waiting_.push_back({&client, header.stream, appended_});
            at += header.length;
        }
        client.in.erase(0, at);
    }

    void answer() {
        std::array<uint64_t, 3> sorted = synced_;
        std::sort(sorted.begin(), sorted.end());
        for (; !waiting_.empty() && waiting_.front().end <= sorted[1]; waiting_.pop_front()) {
            AppendDoneItem item{};
            item.stream = waiting_.front().stream;
            item.lsn_first = ++last_lsn_;
            waiting_.front().client->items.push_back(item);
        }
        for (const auto& client : clients_) {
            if (client->items.empty()) continue;
            size_t items_bytes = client->items.size() * sizeof(AppendDoneItem);
            AppendDone done{};
            done.size = static_cast<uint32_t>(sizeof done + items_bytes);
            done.count = static_cast<uint32_t>(client->items.size());
            FrameHeader header{};
            header.length = static_cast<uint32_t>(sizeof header) + done.size;
            header.type = static_cast<uint16_t>(FrameType::append_done);
            std::string frame(reinterpret_cast<const char*>(&header), sizeof header);
            frame.append(reinterpret_cast<const char*>(&done), sizeof done);
            frame.append(reinterpret_cast<const char*>(client->items.data()), items_bytes);
            send_all(client->socket, frame);
            client->items.clear();
        }
    }

    int listener_;
    std::array<int, 2> followers_;
    GroupDisk disk_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::string fresh_, for_disk_;
    std::deque<Waiting> waiting_;
    std::array<uint64_t, 3> synced_{};  // followers, then this one
    uint64_t appended_ = 0, last_lsn_ = 0;
};

pid_t start(auto body) {
    pid_t process = ::fork();
    if (process != 0) return process;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
    ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
    bench::Arguments arguments(argc, argv, 1);
    std::string dir = arguments.text("--dir", "");
    if (dir.empty()) {
        std::fputs(
            "usage: bench_floor --dir DIR [--in-flight N] [--connections N] [--bytes N] [--rate N] ...\n",
            stderr);
        return 2;
    }
    std::array<uint16_t, 3> ports{};
    std::array<int, 3> listeners{};
    for (size_t i = 0; i < 3; ++i) listeners[i] = listen_anywhere(ports[i]);
    std::vector<pid_t> children;
    for (size_t i : {1u, 2u})
        children.push_back(start([&] { be_follower(listeners[i], dir + "/floor" + std::to_string(i)); }));
    children.push_back(start([&] { Leader(listeners[0], ports[1], ports[2], dir + "/floor0").run(); }));

    bench::LoadOptions options = arguments.load();
    options.address = "127.0.0.1:" + std::to_string(ports[0]);
    options.hello = false;
    bench::LoadResult result = bench::run_load(options);
    for (pid_t child : children) ::kill(child, SIGKILL);
    for (pid_t child : children) ::waitpid(child, nullptr, 0);
    for (size_t i = 0; i < 3; ++i) ::unlink((dir + "/floor" + std::to_string(i)).c_str());
    return bench::print(bench::to_json(options, result), result.error);
}
