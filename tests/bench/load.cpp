#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/checksum.h"
#include "base/entry.h"
#include "base/random.h"
#include "proto/client.h"
#include "proto/control.pb.h"
#include "proto/frame.h"

namespace raftd::bench {
namespace {

using namespace raftd::proto;
constexpr uint32_t kMagic = 0x52414654;

int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

double cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// A connection with its two buffers.
struct Line {
    ~Line() {
        if (socket >= 0) ::close(socket);
    }
    bool open(const std::string& address, std::string& error) {
        socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        size_t colon = address.rfind(':');
        ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
        to.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
        if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
            error = "connect to " + address + ": " + std::strerror(errno);
            return false;
        }
        int on = 1;
        ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::fcntl(socket, F_SETFL, O_NONBLOCK);
        return true;
    }
    void put(const Slice& frame) { out.append(as_text(frame.view())); }
    bool flush() {
        while (sent < out.size()) {
            ssize_t taken = ::send(socket, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
            if (taken < 0) return errno == EAGAIN;
            sent += static_cast<size_t>(taken);
        }
        out.clear();
        sent = 0;
        return true;
    }
    /// False when the other end has gone.
    bool fill() {
        if (begin > 0) {
            in.erase(0, begin);
            begin = 0;
        }
        size_t before = in.size();
        in.resize(before + (256u << 10));
        ssize_t got = ::recv(socket, in.data() + before, in.size() - before, 0);
        in.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
        return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
    }
    /// The next whole frame's payload.
    bool next(FrameHeader& header, ByteView& payload) {
        if (in.size() - begin < sizeof header) return false;
        std::memcpy(&header, in.data() + begin, sizeof header);
        if (in.size() - begin < header.length) return false;
        payload = as_bytes(std::string_view(in).substr(begin + sizeof header, header.length - sizeof header));
        begin += header.length;
        return true;
    }
    bool wait(FrameHeader& header, ByteView& payload) {
        for (;;) {
            if (next(header, payload)) return true;
            pollfd asked{socket, static_cast<short>(out.empty() ? POLLIN : POLLIN | POLLOUT), 0};
            if (::poll(&asked, 1, 10000) <= 0 || !flush() || !fill()) return false;
        }
    }
    bool shake_hands(std::string& error) {
        pb::Hello hello;
        hello.set_magic(kMagic);
        hello.set_version_min(1);
        hello.set_version_max(1);
        put(make_message_frame(FrameType::hello, 0, as_bytes(hello.SerializeAsString())));
        FrameHeader header{};
        ByteView payload;
        if (!flush() || !wait(header, payload) || header.type != static_cast<uint16_t>(FrameType::hello_ok)) {
            error = "no handshake";
            return false;
        }
        return true;
    }

    int socket = -1;
    std::string in, out;
    size_t begin = 0, sent = 0;
    uint32_t unanswered = 0;
    bool first = true;
};

class Load {
public:
    explicit Load(const LoadOptions& options) : options_(options), random_(options.seed) {
        // Streams are reused long after they were answered.
        size_t slots = 1;
        while (slots < options.in_flight * 2 + 1024) slots *= 2;
        pending_.resize(slots);
        body_.resize(body_bytes_for(1, options.record_bytes));
        record_.resize(options.record_bytes);
        for (std::byte& each : record_) each = static_cast<std::byte>(random_.next());
    }

    LoadResult run() {
        for (uint32_t i = 0; i < options_.connections; ++i) {
            lines_.push_back(std::make_unique<Line>());
            if (!lines_[i]->open(options_.address, result_.error)) return result_;
            if (options_.hello && !lines_[i]->shake_hands(result_.error)) return result_;
        }
        start_ = now_ns();
        count_from_ = start_ + static_cast<int64_t>(options_.warm_up * 1e9);
        stop_ = count_from_ + static_cast<int64_t>(options_.seconds * 1e9);
        double cpu_before = cpu_seconds();
        turn_until_done();
        result_.cpu_seconds = cpu_seconds() - cpu_before;
        summarize();
        return result_;
    }

private:
    struct Pending {
        int64_t intended = 0;
        uint64_t content = 0;
    };

    void turn_until_done() {
        std::vector<pollfd> asked(lines_.size());
        int64_t last_answer = start_;
        while (result_.error.empty()) {
            int64_t now = now_ns();
            if (now < stop_) send_due(now);
            if (now >= stop_ && unanswered_ == 0) break;
            if (unanswered_ > 0 && now - last_answer > 10'000'000'000) result_.error = "no answer for 10 s";
            for (size_t i = 0; i < lines_.size(); ++i) {
                if (!lines_[i]->flush()) result_.error = "connection lost";
                asked[i] = {lines_[i]->socket,
                            static_cast<short>(lines_[i]->out.empty() ? POLLIN : POLLIN | POLLOUT), 0};
            }
            timespec wait{1, 0};
            if (options_.rate > 0 && now < stop_)
                wait = {
                    0, static_cast<long>(std::clamp<int64_t>(intended_of(sent_) - now_ns(), 0, 100'000'000))};
            if (unanswered_ == 0 && options_.rate == 0) last_answer = now;
            ::ppoll(asked.data(), asked.size(), &wait, nullptr);
            for (size_t i = 0; i < lines_.size(); ++i) {
                if ((asked[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
                if (!lines_[i]->fill()) result_.error = "connection lost";
                take_answers(*lines_[i]);
                last_answer = now;
            }
        }
    }

    int64_t intended_of(uint64_t number) const {
        return start_ + static_cast<int64_t>(static_cast<double>(number) / options_.rate * 1e9);
    }

    void send_due(int64_t now) {
        while (unanswered_ < options_.in_flight) {
            int64_t intended = options_.rate > 0 ? intended_of(sent_) : now;
            if (intended > now || intended >= stop_) return;
            send_one(*lines_[sent_ % lines_.size()], intended);
        }
    }

    void send_one(Line& line, int64_t intended) {
        uint64_t number = sent_++;
        uint64_t stamp = number ^ (options_.seed << 40);  // every record is another one
        std::memcpy(record_.data(), &stamp, std::min(sizeof stamp, record_.size()));
        ByteView record(record_);
        encode_body({&record, 1}, body_);
        Append append{};
        append.size = sizeof append;
        append.flags = line.first ? kAppendRun : 0;
        append.draft = draft_batch(1, body_);
        line.first = false;
        auto stream = static_cast<uint32_t>(number);
        FrameHeader header =
            make_header(FrameType::append, stream, fixed_bytes(append), sizeof append + body_.size());
        line.out.append(reinterpret_cast<const char*>(&header), sizeof header);
        line.out.append(reinterpret_cast<const char*>(&append), sizeof append);
        line.out.append(as_text(body_));
        pending_[stream & (pending_.size() - 1)] = {intended, checksum(record)};
        ++unanswered_;
    }

    void take_answers(Line& line) {
        FrameHeader header{};
        ByteView payload;
        int64_t now = now_ns();
        while (line.next(header, payload)) {
            AppendDone done{};
            if (header.type != static_cast<uint16_t>(FrameType::append_done) || !read_fixed(payload, done))
                continue;
            for (uint32_t i = 0; i < done.count; ++i) {
                AppendDoneItem item{};
                std::memcpy(&item, payload.data() + sizeof done + i * sizeof item, sizeof item);
                take(item, now);
            }
        }
    }

    void take(const AppendDoneItem& item, int64_t now) {
        --unanswered_;
        if (item.code != AppendCode::committed) {
            ++result_.refused;
            result_.error = "refused with code " + std::to_string(static_cast<uint32_t>(item.code));
            return;
        }
        const Pending& was = pending_[item.stream & (pending_.size() - 1)];
        ++result_.acknowledged;
        result_.content += was.content;
        if (was.intended < count_from_ || now > stop_ + 1'000'000'000) return;
        latencies_.push_back(now - was.intended);
        if (now <= stop_) ++result_.counted;
    }

    void summarize() {
        result_.seconds = options_.seconds;
        result_.per_second = static_cast<double>(result_.counted) / options_.seconds;
        if (latencies_.empty()) return;
        std::sort(latencies_.begin(), latencies_.end());
        auto at = [this](double part) {
            auto index = static_cast<size_t>(part * static_cast<double>(latencies_.size() - 1));
            return static_cast<double>(latencies_[index]) / 1000;
        };
        result_.p50_us = at(0.5);
        result_.p99_us = at(0.99);
        result_.p999_us = at(0.999);
        result_.max_us = at(1);
        double sum = 0;
        for (int64_t each : latencies_) sum += static_cast<double>(each);
        result_.mean_us = sum / static_cast<double>(latencies_.size()) / 1000;
    }

    const LoadOptions options_;
    Random random_;
    LoadResult result_;
    std::vector<std::unique_ptr<Line>> lines_;
    std::vector<Pending> pending_;
    std::vector<std::byte> body_, record_;
    std::vector<int64_t> latencies_;
    uint64_t sent_ = 0, unanswered_ = 0;
    int64_t start_ = 0, count_from_ = 0, stop_ = 0;
};

/// Sums the records of one TailData; false when an LSN is missing.
bool take_entries(ByteView entries, TailResult& result) {
    EntryCursor cursor(entries);
    while (const EntryHeader* header = cursor.next()) {
        if (header->kind != EntryKind::batch) continue;
        if (header->lsn_first != result.last_lsn + 1) return false;
        RecordReader records(*header, cursor.body());
        while (auto record = records.next()) {
            ++result.records;
            ++result.last_lsn;
            result.bytes += record->size();
            result.content += checksum(*record);
        }
    }
    return true;
}

}  // namespace

LoadResult run_load(const LoadOptions& options) { return Load(options).run(); }

TailResult run_tail(const std::string& address) {
    TailResult result;
    Line line;
    if (!line.open(address, result.error) || !line.shake_hands(result.error)) return result;
    int64_t start = now_ns();
    constexpr uint64_t kCredit = 16u << 20;
    TailOpen open{};
    open.size = sizeof open;
    open.flags = kTailLinearizable;  // also of a member that is behind: all that was acknowledged before
    open.from = TailFrom::first;
    open.credit = kCredit;
    line.put(make_frame(FrameType::tail_open, 1, fixed_bytes(open)));
    uint64_t used = 0;
    for (bool more = line.flush(); more;) {
        FrameHeader header{};
        ByteView payload;
        TailData data{};
        TailEnd end{};
        if (!line.wait(header, payload)) {
            result.error = "the stream broke off";
        } else if (header.type == static_cast<uint16_t>(FrameType::tail_end) && read_fixed(payload, end)) {
            if (end.code != TailCode::end)
                result.error = "tail ended with " + std::to_string(static_cast<uint32_t>(end.code));
            break;
        } else if (header.type == static_cast<uint16_t>(FrameType::tail_data) && read_fixed(payload, data)) {
            if (!take_entries(payload.subspan(fixed_size(payload)), result))
                result.error = "an LSN is missing";
            used += payload.size();
        }
        if (!result.error.empty()) return result;
        if (used < kCredit / 4) continue;
        TailCredit credit{sizeof(TailCredit), 0, used};
        line.put(make_frame(FrameType::tail_credit, 1, fixed_bytes(credit)));
        used = 0;
        more = line.flush();
    }
    result.seconds = static_cast<double>(now_ns() - start) * 1e-9;
    result.megabytes_per_second = static_cast<double>(result.bytes) / 1e6 / result.seconds;
    return result;
}

std::string to_json(const LoadOptions& options, const LoadResult& result) {
    std::array<char, 1024> text;
    std::snprintf(text.data(), text.size(),
                  "{\"in_flight\":%u,\"connections\":%u,\"record_bytes\":%u,\"rate\":%.0f,\"seconds\":%.2f,"
                  "\"per_second\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,"
                  "\"mean_us\":%.1f,"
                  "\"acknowledged\":%lu,\"refused\":%lu,\"content\":\"%016lx\",\"generator_cpu_s\":%.3f,"
                  "\"error\":\"%s\"}",
                  options.in_flight, options.connections, options.record_bytes, options.rate, result.seconds,
                  result.per_second, result.p50_us, result.p99_us, result.p999_us, result.max_us,
                  result.mean_us, result.acknowledged, result.refused, result.content, result.cpu_seconds,
                  result.error.c_str());
    return text.data();
}

std::string to_json(const TailResult& result) {
    std::array<char, 512> text;
    std::snprintf(text.data(), text.size(),
                  "{\"records\":%lu,\"bytes\":%lu,\"content\":\"%016lx\",\"last_lsn\":%lu,\"seconds\":%.3f,"
                  "\"megabytes_per_second\":%.1f,\"error\":\"%s\"}",
                  result.records, result.bytes, result.content, result.last_lsn, result.seconds,
                  result.megabytes_per_second, result.error.c_str());
    return text.data();
}

}  // namespace raftd::bench
