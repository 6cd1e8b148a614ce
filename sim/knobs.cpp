#include "sim/knobs.h"

namespace raftd::sim {
namespace {

constexpr std::string_view kProfiles[] = {"swarm", "quiet",  "crash", "disk",    "network",
                                          "speed", "damage", "churn", "install", "restored"};

Duration draw_time(Random& random, Duration low, Duration high) {
    return {
        static_cast<int64_t>(random.between(static_cast<uint64_t>(low.ns), static_cast<uint64_t>(high.ns)))};
}
/// 0 half of the time, else up to `max`.
double draw_chance(Random& random, double max) {
    return random.chance(0.5) ? 0 : static_cast<double>(random.below(1000)) / 1000 * max;
}

void draw_network(Random& random, NetModel& net) {
    net.delay_min = draw_time(random, microseconds(20), milliseconds(2));
    net.delay_spread = draw_time(random, microseconds(50), milliseconds(random.chance(0.3) ? 80 : 5));
    net.tail = draw_chance(random, 0.05);
    net.tail_max = draw_time(random, milliseconds(5), milliseconds(1500));
    net.loss = draw_chance(random, 0.2);
    net.reset = draw_chance(random, 0.01);
    net.corrupt = draw_chance(random, 0.005);
    // Not both: of two copies one may be refused as malformed and the other land, and nobody would be wrong.
    if (net.corrupt == 0) net.append_double = draw_chance(random, 0.1);
    net.datagram_drop = draw_chance(random, 0.2);
    net.datagram_double = draw_chance(random, 0.3);
    net.datagram_reorder = draw_chance(random, 0.5);
    net.stray_max = draw_time(random, milliseconds(10), seconds(random.chance(0.2) ? 60 : 2));
    net.bytes_per_second = random.chance(0.2) ? 200u << 10 : 100u << 20;
    net.kernel_bytes = random.chance(0.3) ? 8u << 10 : 256u << 10;
}

void draw_clients(Random& random, ClientLoad& load) {
    load.appends_per_second = static_cast<double>(random.between(1, 40));
    load.window = static_cast<uint32_t>(random.between(1, 64));
    load.batch_max = static_cast<uint32_t>(random.between(1, 8));
    load.bytes_max =
        static_cast<uint32_t>(random.chance(0.2) ? random.between(1000, 20'000) : random.between(16, 200));
    load.reads_per_second = draw_chance(random, 4);
    load.tail_life = draw_time(random, seconds(1), seconds(30));
    load.timeout = draw_time(random, seconds(2), seconds(20));
}

/// Which groups of faults are on.
void draw_groups(Random& random, Profile profile, Knobs& knobs) {
    switch (profile) {
        case Profile::swarm:
        case Profile::restored:
            knobs.network = random.chance(0.5), knobs.topology = random.chance(0.5),
            knobs.process = random.chance(0.5);
            knobs.disk = random.chance(0.5), knobs.time = random.chance(0.5),
            knobs.clients_move = random.chance(0.5), knobs.damage = random.chance(0.4);
            knobs.damage = knobs.damage && profile != Profile::restored;
            // Damage may hit a minority, of members that stay.
            knobs.churn = !knobs.damage && random.chance(0.5);
            break;
        case Profile::crash: knobs.process = true; break;
        case Profile::disk: knobs.process = knobs.disk = true; break;
        case Profile::network: knobs.network = knobs.topology = true; break;
        case Profile::damage: knobs.process = knobs.damage = true; break;
        case Profile::install: knobs.process = knobs.topology = true; break;
        case Profile::churn:
            knobs.network = random.chance(0.4), knobs.topology = random.chance(0.5),
            knobs.process = random.chance(0.5), knobs.disk = random.chance(0.3),
            knobs.time = random.chance(0.3), knobs.clients_move = random.chance(0.3), knobs.churn = true;
            break;
        case Profile::quiet:
        case Profile::speed: break;
    }
}

/// Who appends, and how small things are.
void draw_sizes(Random& random, Knobs& knobs) {
    draw_clients(random, knobs.load);
    knobs.clients = static_cast<uint32_t>(random.between(1, 4));
    if (knobs.clients > 1 && random.chance(0.3)) knobs.shared_names = 2;
    knobs.own_names = static_cast<uint32_t>(random.below(2));
    if (random.chance(0.3)) knobs.cluster.segment_bytes = 32u << 10;
    if (random.chance(0.3)) knobs.cluster.batch_bytes_max = 4u << 10;
    if (random.chance(0.3)) knobs.cluster.buffer_bytes = 32u << 10;
    if (random.chance(0.3)) knobs.cluster.in_flight_bytes_max = 16u << 10;
    if (random.chance(0.3)) knobs.cluster.append_queue_bytes_max = 128u << 10;
    if (knobs.clients > 1 && random.chance(0.3)) {
        knobs.few_producers = true;
        knobs.shared_names = 0;
        knobs.cluster.state.producers_max = random.between(1, knobs.clients - 1);
        knobs.cluster.state.producer_idle_ms = random.between(300, 4'000);
    }
    // So few that a retry may come when only its being committed is remembered.
    if (random.chance(0.3)) knobs.cluster.state.answers_each_max = random.between(1, 4);
    if (random.chance(0.2))
        knobs.cluster.heartbeat = milliseconds(static_cast<int64_t>(random.between(50, 300)));
}

void draw_churn(Random& random, Knobs& knobs) {
    knobs.operators = random.chance(0.3) ? 2 : 1;
    knobs.strike_chance = random.chance(0.3) ? 0 : draw_chance(random, 0.4);
    knobs.change_every_min = draw_time(random, milliseconds(1200), milliseconds(2500));
    for (uint32_t i = 0; i < knobs.cluster.members; ++i)
        knobs.cluster.priorities.push_back(static_cast<uint8_t>(random.chance(0.2) ? 1 : 0));
}

/// From a generator of its own: what the others draw stays as it is.
void draw_archives(Knobs& knobs, Profile profile, uint64_t seed) {
    Random random(seed ^ 0xa5c41e);
    // Not many more than a hundred archives a run, however heavy its load: each snapshot names them all.
    constexpr double kArchives = 64;
    const double time_s = static_cast<double>(knobs.length.ns) / 1e9;
    const double entries = time_s * (knobs.load.appends_per_second * knobs.clients + 20);
    const double bytes = entries * (knobs.load.bytes_max + 200);
    daemon::ArchiveLimits& limits = knobs.cluster.state.archive;
    limits.bytes = std::max(uint64_t{16u << 10} << random.below(5), static_cast<uint64_t>(bytes / kArchives));
    limits.entries = std::max(uint64_t{64} << random.below(5), static_cast<uint64_t>(entries / kArchives));
    knobs.cluster.archives_first = random.chance(0.7);
    if (knobs.damage && random.chance(0.7)) knobs.cluster.scrub_rate = uint64_t{64u << 10} << random.below(7);
    if (profile == Profile::install || random.chance(0.7))
        knobs.cluster.wal_keep_bytes = random.below(4) * knobs.cluster.segment_bytes;
}

/// From a generator of its own, too. Damage may take archives, which aren't made again.
void draw_keeping(Knobs& knobs, Profile profile, uint64_t seed) {
    Random random(seed ^ 0x7a11b0);
    const bool on = random.chance(profile == Profile::quiet ? 0 : 0.35);
    knobs.keeping = on && !knobs.damage;
    knobs.keeping_every = draw_time(random, milliseconds(300), seconds(4));
}

/// From a generator of its own, too. Damage hits a minority of all machines, and the former ones are no more.
void draw_former(Knobs& knobs, Profile profile, uint64_t seed) {
    Random random(seed ^ 0xf0e3e1);
    const double chance = profile == Profile::restored ? 1 : profile == Profile::swarm ? 0.06 : 0;
    const bool on = random.chance(chance) && !knobs.damage;
    const auto members = static_cast<uint32_t>(random.between(1, 3));
    if (on) knobs.former_members = members;
}

}  // namespace

std::optional<Profile> parse_profile(std::string_view text) {
    for (size_t i = 0; i < std::size(kProfiles); ++i)
        if (kProfiles[i] == text) return static_cast<Profile>(i);
    return std::nullopt;
}

std::string_view text_of(Profile profile) { return kProfiles[static_cast<size_t>(profile)]; }

Knobs Knobs::draw(uint64_t seed, Profile profile, uint32_t members, std::optional<Duration> length) {
    Random random(seed * 0x2545f4914f6cdd1du + 7);
    Knobs knobs;
    static constexpr uint32_t kCounts[] = {3, 3, 3, 5, 5, 2, 4, 1};
    knobs.cluster.members = members != 0 ? members : kCounts[random.below(std::size(kCounts))];
    if (profile == Profile::speed) {
        knobs.cluster.members = members != 0 ? members : 5;
        knobs.load.appends_per_second = 10;
        knobs.length = length.value_or(seconds(600));
        return knobs;
    }
    draw_groups(random, profile, knobs);
    if (knobs.network) draw_network(random, knobs.net);
    knobs.net.user_timeout = draw_time(random, seconds(1), seconds(6));
    knobs.topology_every = draw_time(random, milliseconds(500), seconds(15));
    knobs.process_every = draw_time(random, milliseconds(700), seconds(15));
    knobs.power_share = static_cast<double>(random.below(11)) / 10;
    knobs.disk_every = draw_time(random, seconds(1), seconds(20));
    knobs.time_every = draw_time(random, seconds(2), seconds(30));
    knobs.clients_every = draw_time(random, seconds(2), seconds(30));
    knobs.damage_every = draw_time(random, seconds(1), seconds(6));
    if (knobs.churn) draw_churn(random, knobs);
    if (knobs.time) knobs.rate_spread = draw_chance(random, 0.3);
    if (profile != Profile::quiet) draw_sizes(random, knobs);
    knobs.load.damage = knobs.damage || knobs.net.corrupt > 0;
    // Most runs are short, a few are long: log-uniform between 10 and 300 s.
    knobs.length = seconds(10) * (int64_t{1} << random.below(5)) + draw_time(random, {}, seconds(10));
    if (length) knobs.length = *length;
    draw_archives(knobs, profile, seed);
    draw_keeping(knobs, profile, seed);
    draw_former(knobs, profile, seed);
    return knobs;
}

std::string Knobs::text() const {
    std::string line = "members=" + std::to_string(cluster.members);
    auto flag = [&line](std::string_view name, bool on) {
        if (on) line.append(" ").append(name);
    };
    auto number = [&line](std::string_view name, double value) {
        if (value == 0) return;
        std::string digits = std::to_string(value);
        digits.resize(std::min(digits.size(), digits.find('.') + 4));
        line.append(" ").append(name).append("=").append(digits);
    };
    number("length_s", static_cast<double>(length.ns) / 1e9);
    number("clients", clients);
    number("appends_per_s", load.appends_per_second);
    number("bytes_max", load.bytes_max);
    number("window", load.window);
    number("one_name", shared_names);
    if (cluster.state.answers_each_max < 128)
        number("answers_each_max", static_cast<double>(cluster.state.answers_each_max));
    number("archive_bytes", static_cast<double>(cluster.state.archive.bytes));
    number("archive_entries", static_cast<double>(cluster.state.archive.entries));
    number("wal_keep_bytes", static_cast<double>(cluster.wal_keep_bytes));
    flag("archives_first", cluster.archives_first);
    if (few_producers) number("producers_max", static_cast<double>(cluster.state.producers_max));
    number("segment_bytes", static_cast<double>(cluster.segment_bytes));
    flag("[network]", network);
    if (network) {
        number("delay_ms", static_cast<double>(net.delay_spread.ns) / 1e6);
        number("tail", net.tail), number("loss", net.loss), number("reset", net.reset);
        number("corrupt", net.corrupt);
        number("drop", net.datagram_drop), number("double", net.datagram_double);
        number("reorder", net.datagram_reorder),
            number("stray_s", static_cast<double>(net.stray_max.ns) / 1e9);
    }
    flag("[topology]", topology);
    if (topology) number("every_s", static_cast<double>(topology_every.ns) / 1e9);
    flag("[process]", process);
    if (process) number("every_s", static_cast<double>(process_every.ns) / 1e9), number("power", power_share);
    flag("[disk]", disk);
    if (disk) number("every_s", static_cast<double>(disk_every.ns) / 1e9);
    flag("[time]", time);
    if (time) number("rates", rate_spread);
    flag("[clients]", clients_move);
    flag("[churn]", churn);
    if (churn)
        number("every_s", static_cast<double>(change_every_min.ns) / 5e8), number("operators", operators),
            number("strike", strike_chance);
    number("restored_from", former_members);
    flag("[keeping]", keeping);
    if (keeping) number("every_s", static_cast<double>(keeping_every.ns) / 1e9);
    flag("[damage]", damage);
    if (damage) number("every_s", static_cast<double>(damage_every.ns) / 1e9);
    return line;
}

}  // namespace raftd::sim
