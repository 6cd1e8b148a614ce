// Connection: lines in, answers out.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "kv/server.h"

namespace kv {
namespace {

// A connection holds no more than a line and a read, kOpenMax answers, and what isn't sent: some 5 MiB.
constexpr size_t kLineBytesMax = 64u << 10;
constexpr size_t kReadBytes = 64u << 10;
constexpr size_t kOpenMax = 64;                 // commands under way
constexpr size_t kUnsentBytesMax = 256u << 10;  // beyond it no more commands are taken

}  // namespace

Connection::~Connection() { ::close(fd_); }

short Connection::wanted(bool stopping) const {
    const bool room = !ended_ && !stopping && in_.size() <= kLineBytesMax;
    return static_cast<short>((room ? POLLIN : 0) | (out_.empty() ? 0 : POLLOUT));
}

bool Connection::over(bool stopping) const {
    if (broken_) return true;
    const bool no_more = stopping || (ended_ && in_.find('\n') == std::string::npos);
    return no_more && open_.empty() && out_.empty();
}

void Connection::receive() {
    if (ended_ || in_.size() > kLineBytesMax) return;
    char bytes[kReadBytes];
    const ssize_t count = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count > 0) in_.append(bytes, static_cast<size_t>(count));
    if (count == 0) ended_ = true;
    if (count < 0 && errno != EAGAIN && errno != EINTR) broken_ = true;
}

bool Connection::run(Replica& replica) {
    size_t begin = 0;
    bool too_long = false;
    while (open_.size() < kOpenMax && out_.size() < kUnsentBytesMax) {
        const size_t end = in_.find('\n', begin);
        if (end == std::string::npos) break;
        const std::string_view line = std::string_view(in_).substr(begin, end - begin);
        if ((too_long = line.size() > kLineBytesMax)) break;
        auto command = parse_command(line);
        const bool writes = command && command->op != Command::Op::get;
        if (!open_.empty() && command && writes != writing_) break;  // when those under way are done
        begin = end + 1;
        if (!command) {
            refuse(command.error().what);
            continue;
        }
        writing_ = writes;
        Replica::Done done = answer_into_next();
        if (writes)
            replica.write(std::move(*command), std::move(done));
        else
            replica.read(std::move(command->key), std::move(done));
    }
    in_.erase(0, begin);
    too_long |= in_.size() > kLineBytesMax && in_.find('\n') == std::string::npos;
    if (too_long) {
        refuse("a line may have " + std::to_string(kLineBytesMax) + " bytes");
        in_.clear();
        ended_ = true;  // whoever sent this isn't to be trusted with the next one
    }
    return begin > 0;
}

Replica::Done Connection::answer_into_next() {
    open_.emplace_back();
    const uint64_t number = first_open_ + open_.size() - 1;
    // The client may be gone when the answer comes.
    return [weak = weak_from_this(), number](const Json& answer) {
        auto self = weak.lock();
        if (!self) return;
        self->open_[number - self->first_open_].answer = answer.dump() + "\n";
        self->move_answers();
    };
}

void Connection::refuse(const std::string& why) {
    open_.push_back({Json{{"error", why}}.dump() + "\n"});
    move_answers();
}

void Connection::move_answers() {
    for (; !open_.empty() && !open_.front().answer.empty(); ++first_open_) {
        out_ += open_.front().answer;
        open_.pop_front();
    }
}

void Connection::send() {
    if (out_.empty()) return;
    const ssize_t count = ::send(fd_, out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) out_.erase(0, static_cast<size_t>(count));
    if (count < 0 && errno != EAGAIN && errno != EINTR) broken_ = true;
}

}  // namespace kv
