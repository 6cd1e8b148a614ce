#include "client/producer.h"

#include <algorithm>

namespace raftd::client {

std::shared_ptr<const Error> shared_error(Errc code, std::string what, std::string hint) {
    return std::make_shared<const Error>(error(code, std::move(what), std::move(hint)));
}
void Producer::want(Instant now) {
    if (state_ != State::none || now < not_before_) return;
    state_ = State::opening;
    not_before_ = Instant{INT64_MIN};
    why_ = nullptr;
    call_.ask(open_producer_request(options_.producer, facts_.id, facts_.epoch));
}

void Producer::doubt() {
    if (state_ == State::open) state_ = State::none;
}

void Producer::fence(uint64_t epoch_now) {
    if (epoch_now <= facts_.epoch) return doubt();
    uint64_t raised = epoch_now - facts_.epoch;
    if (raised <= zombies_) {
        zombies_ -= raised;
        disputed_ |= named();
        facts_.epoch = static_cast<uint32_t>(epoch_now);
        state_ = State::none;
        return;
    }
    state_ = State::fenced;
    std::string who = named() ? "producer " + options_.producer : "producer " + std::to_string(facts_.id);
    why_ = shared_error(Errc::conflict, who + " was opened by somebody else meanwhile (epoch " +
                                            std::to_string(epoch_now) + ", here " +
                                            std::to_string(facts_.epoch) + "), so this one is fenced");
}

void Producer::expire() {
    if (named()) {
        state_ = State::expired;
        why_ = shared_error(Errc::conflict,
                            "producer " + options_.producer +
                                " was forgotten by the cluster meanwhile: closed, or idle for long "
                                "while others needed room");
        return;
    }
    state_ = State::none;
    facts_ = {};
    next_ = 1;
    loose_max_ = zombies_ = 0;
}

bool Producer::receive(const io::Frame& frame, Instant now) {
    if (!call_.receive(frame, now)) return false;
    if (auto answer = call_.take()) take_answer(*answer, now);
    return true;
}

void Producer::take_answer(const LeaderAnswer& answer, Instant now) {
    if (state_ != State::opening) return;
    // A lost opening of an unnamed one that had no id yet made another producer, which is nobody's business.
    uint32_t lost = call_.take_lost();
    bool again = facts_.id != 0;
    if (again || named()) zombies_ += lost;
    if (answer.error) {
        state_ = again && answer.error->code == Errc::not_found ? State::gone : State::refused;
        why_ = std::make_shared<const Error>(*answer.error);
        return;
    }
    const ProducerFacts& said = answer.producer;
    bool sense = said.id != 0 && said.epoch != 0 && said.last != UINT64_MAX &&
                 (!again || said.id == facts_.id) &&
                 (!again || (answer.fenced ? said.epoch > facts_.epoch : said.epoch == facts_.epoch + 1));
    if (!sense) {
        state_ = State::none;
        not_before_ = now + options_.backoff_max;
        return;
    }
    if (answer.fenced) return fence(said.epoch);
    facts_ = said;
    next_ = said.last + 1;
    loose_max_ = 0;
    state_ = State::open;
    opened_ = true;
}

}  // namespace raftd::client
