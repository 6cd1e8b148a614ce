#include "cli/place.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <string>

#include "conf/units.h"

namespace raftd::cli {
namespace {

constexpr const char* kForms = "an LSN from 1 on, first, end, @2026-11-20T10:00, @1732100000, or -2h";

Error no_time(const std::string& why) { return error(Errc::bad_input, why); }

bool all_digits(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Takes parts from the front of a text.
class Parts {
public:
    explicit Parts(std::string_view text) : left_(text) {}

    std::optional<int> number(size_t digits, int low, int high) {
        if (left_.size() < digits || !all_digits(left_.substr(0, digits))) return std::nullopt;
        int value = std::stoi(std::string(left_.substr(0, digits)));
        if (value < low || value > high) return std::nullopt;
        left_.remove_prefix(digits);
        return value;
    }
    bool one_of(std::string_view wanted) {
        if (left_.empty() || wanted.find(left_[0]) == std::string_view::npos) return false;
        left_.remove_prefix(1);
        return true;
    }
    /// `.5`, `,250`: milliseconds, what is finer is dropped. 0 when there is none.
    std::optional<int> fraction() {
        if (!one_of(".,")) return 0;
        size_t digits = std::min(left_.find_first_not_of("0123456789"), left_.size());
        if (digits == 0) return std::nullopt;
        std::string text(left_.substr(0, std::min<size_t>(digits, 3)));
        text.resize(3, '0');
        left_.remove_prefix(digits);
        return std::stoi(text);
    }
    /// Seconds east of Greenwich of `Z`, `+01:00`, `-0530`.
    std::optional<int> zone() {
        if (one_of("Zz")) return 0;
        int sign = one_of("+") ? 1 : one_of("-") ? -1 : 0;
        auto hours = number(2, 0, 23);
        one_of(":");
        auto minutes = number(2, 0, 59);
        if (sign == 0 || !hours || !minutes) return std::nullopt;
        return sign * (*hours * 3600 + *minutes * 60);
    }
    bool done() const { return left_.empty(); }
    std::string_view left() const { return left_; }

private:
    std::string_view left_;
};

Result<int64_t> parse_epoch(std::string_view text) {
    std::string_view seconds = text.substr(0, text.find_first_of(".,"));
    if (seconds.size() > 11)
        return no_time("\"" + std::string(text) +
                       "\" is farther away than any record: seconds since 1970 are meant, and these look "
                       "like milliseconds");
    Parts parts(text.substr(seconds.size()));
    auto ms = parts.fraction();
    if (!ms || !parts.done()) return no_time("\"" + std::string(text) + "\" is no number of seconds");
    return std::stoll(std::string(seconds)) * 1000 + *ms;
}

Result<int64_t> local_ms(std::chrono::year_month_day day, int second_of_day) {
    std::tm wanted{};
    wanted.tm_year = static_cast<int>(day.year()) - 1900;
    wanted.tm_mon = static_cast<int>(static_cast<unsigned>(day.month())) - 1;
    wanted.tm_mday = static_cast<int>(static_cast<unsigned>(day.day()));
    wanted.tm_hour = second_of_day / 3600;
    wanted.tm_min = second_of_day / 60 % 60;
    wanted.tm_sec = second_of_day % 60;
    wanted.tm_isdst = -1;
    std::tm found = wanted;
    std::time_t at = ::mktime(&found);
    if (found.tm_hour != wanted.tm_hour || found.tm_min != wanted.tm_min)
        return no_time("the clocks of the local time zone leave this time out; add a zone, like Z");
    return int64_t{at} * 1000;
}

struct TimeOfDay {
    int seconds = 0, ms = 0;
    std::optional<int> zone;
};

Result<TimeOfDay> parse_time_of_day(Parts& parts) {
    TimeOfDay time;
    auto hour = parts.number(2, 0, 23);
    auto minute = hour && parts.one_of(":") ? parts.number(2, 0, 59) : std::nullopt;
    if (!minute) return no_time("the time of day must look like 10:00 or 23:59:59.250");
    time.seconds = *hour * 3600 + *minute * 60;
    if (parts.one_of(":")) {
        auto second = parts.number(2, 0, 60);
        auto ms = second ? parts.fraction() : std::nullopt;
        if (!ms) return no_time("the seconds must look like 05 or 59.250");
        time.seconds += std::min(*second, 59);  // a leap second is the one before it, as in Unix time
        time.ms = *ms;
    }
    if (parts.done()) return time;
    std::string zone(parts.left());
    time.zone = parts.zone();
    if (!time.zone || !parts.done())
        return no_time("\"" + zone +
                       "\" is no time zone: Z, +01:00 and -0530 are, and none means local time");
    return time;
}

}  // namespace

Result<int64_t> parse_time(std::string_view text) {
    using namespace std::chrono;
    if (all_digits(text.substr(0, text.find_first_of(".,")))) return parse_epoch(text);
    Parts parts(text);
    auto y = parts.number(4, 0, 9999);
    auto m = y && parts.one_of("-") ? parts.number(2, 0, 99) : std::nullopt;
    auto d = m && parts.one_of("-") ? parts.number(2, 0, 99) : std::nullopt;
    if (!d) return no_time("\"" + std::string(text) + "\" is no time: 2026-11-20T10:00:00Z is one");
    year_month_day date{year(*y), month(static_cast<unsigned>(*m)), day(static_cast<unsigned>(*d))};
    if (!date.ok()) return no_time("there is no day " + std::string(text.substr(0, 10)));
    if (date.year() < year(1970)) return no_time("times begin with 1970");
    TimeOfDay time;
    if (!parts.done()) {
        if (!parts.one_of("Tt ")) return no_time("behind the day, T and a time of day are expected");
        TRY(given, parse_time_of_day(parts));
        time = given;
    }
    if (!time.zone) {
        TRY(ms, local_ms(date, time.seconds));
        return std::max<int64_t>(ms + time.ms, 0);
    }
    int64_t days = sys_days(date).time_since_epoch().count();
    int64_t seconds_utc = days * 86'400 + time.seconds - *time.zone;
    return std::max<int64_t>(seconds_utc * 1000 + time.ms, 0);
}

Result<Place> parse_place(std::string_view text, int64_t now_ms) {
    using Kind = Place::Kind;
    if (text == "first") return Place{Kind::first, 0};
    if (text == "end") return Place{Kind::end, 0};
    std::string what = "\"" + std::string(text) + "\" is no place in the log";
    if (text.starts_with("@")) {
        auto time = parse_time(text.substr(1));
        if (!time) return error(Errc::bad_input, what + ": " + time.error().what, kForms);
        return Place{Kind::time, static_cast<uint64_t>(*time)};
    }
    if (text.starts_with("-")) {
        auto ago = conf::parse_duration(text.substr(1));
        if (!ago || text == "-0")
            return error(Errc::bad_input, what + ": a time ago looks like -30s, -2h or -7d", kForms);
        return Place{Kind::time, static_cast<uint64_t>(std::max<int64_t>(now_ms - ago->ns / 1'000'000, 0))};
    }
    if (all_digits(text) && text.size() < 19 && text.find_first_not_of('0') != std::string_view::npos)
        return Place{Kind::lsn, std::stoull(std::string(text))};
    // A time without its @ is what people write first.
    if (!all_digits(text) && parse_time(text))
        return error(Errc::bad_input, what, "a time begins with @: @" + std::string(text));
    return error(Errc::bad_input, what, kForms);
}

}  // namespace raftd::cli
