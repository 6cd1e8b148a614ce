#include "sim/cluster.h"

#include <cstdio>
#include <set>

#include "wal/wal.h"

namespace raftd::sim {
namespace {

constexpr uint64_t kRecordBytesMax = 32u << 10;  // no client here makes larger ones

}  // namespace

void Trace::line(Instant at, std::string_view who, std::string_view text) {
    if (!on) return;
    std::printf("%13.6f %-4.*s %.*s\n", static_cast<double>(at.ns) / 1e9, static_cast<int>(who.size()),
                who.data(), static_cast<int>(text.size()), text.data());
}

struct Cluster::Process {
    Machine machine;
    SimStoreMaker store;
    daemon::NodeOptions options;
    std::unique_ptr<daemon::Node> node;
    std::optional<Error> refused;  // why it didn't start

    Process(Kernel& kernel, Member& member, SimNetwork& network, uint32_t number, uint64_t seed)
        : machine(kernel, member.storage, member.disk, member.clock, network, number, seed),
          store(member.store) {}
};

Cluster::Cluster(Kernel& kernel, SimNetwork& network, Trace& trace, Reached& reached,
                 const ClusterOptions& options, const snapshot::Manifest& genesis, uint32_t former)
    : kernel_(kernel),
      actor_(kernel.add(this)),
      network_(network),
      trace_(trace),
      reached_(reached),
      options_(options),
      random_(kernel.random.next()),
      manifest_(genesis),
      former_(former),
      // What is on its way to a member may be half of in_flight_bytes_max when it becomes a voter, and what
      // the leader appends in the same turn comes to it; an entry takes 96 bytes at least.
      truth_(kernel, former + options.members, snapshot::genesis_point(manifest_),
             daemon::genesis_configuration(manifest_), options.in_flight_bytes_max / 96, reached) {
    members_.push_back(nullptr);
    network_.watcher = &truth_;
    truth_.on_promise = [this](uint32_t member, bool vote) {
        audit_perhaps(member, vote ? 0.3 : 0.0003);  // it must be on the disk already
    };
    if (trace_.on)
        truth_.on_frame = [this](uint32_t from, uint32_t to, const std::string& text) {
            auto name = [](uint32_t host) { return (host > 100 ? "c" : "n") + std::to_string(host % 100); };
            trace_.line(kernel_.now(), name(to), "<- " + name(from) + " " + text);
        };
}

void Cluster::add_machine(const std::string& member_name, Incarnation incarnation) {
    members_.push_back(std::make_unique<Member>());
    Member& member = *members_.back();
    member.name = member_name;
    member.incarnation = incarnation;
    member.peer = name_of(count()) + ":7001";
    truth_.log_time.add(member.clock);
}

Cluster::~Cluster() {
    network_.watcher = nullptr;
    kernel_.remove(actor_);
}

std::vector<std::string> Cluster::settled_addresses() const {
    const ConfigTruth& configs = truth_.configs;
    std::vector<std::string> addresses;
    for (const auto& [id, info] : configs.at(configs.settled()).what.infos) addresses.push_back(info.client);
    return addresses;
}

std::vector<std::string> Cluster::names() const {
    std::vector<std::string> names;
    for (uint32_t i = former_ + 1; i <= count(); ++i) names.push_back(name_of(i));
    return names;
}

wal::Options Cluster::wal_options(uint32_t member) const {
    return {.dir = std::string(kDataDir) + "/wal",
            .cluster_id = manifest_.cluster_id,
            .incarnation = members_[member]->incarnation,
            .base = member > former_ + options_.members ? snapshot::empty_base(manifest_)
                                                        : snapshot::genesis_point(manifest_),
            .first_segment_bytes = options_.segment_bytes,
            .segment_bytes = options_.segment_bytes,
            .disk_free_reserve = 0,
            .salt_seed = member};
}

uint32_t Cluster::add(const snapshot::Manifest& genesis, const std::string& member_name) {
    CHECK(snapshot::encode_manifest(genesis) == snapshot::encode_manifest(manifest_));
    const Incarnation incarnation{random_.next(), random_.next()};
    add_machine(member_name, incarnation);
    truth_.add_member();
    make_data_dir(count(), genesis, incarnation);
    trace(count(), "made for " + member_name);
    return count();
}

void Cluster::move_to(uint32_t number, const std::string& peer) {
    members_[number]->peer = peer;
    members_[number]->moved = true;
    trace(number, "is to listen at " + peer);
}

bool Cluster::reachable(uint32_t number) const {
    const ConfigTruth& configs = truth_.configs;
    for (auto ref : {configs.settled(), configs.in_force(number)}) {
        const daemon::MemberInfos& infos = configs.at(ref).what.infos;
        auto me = infos.find(NodeId{number});
        if (me != infos.end() && me->second.peer != members_[number]->peer) return false;
    }
    return true;
}

std::vector<const Membership*> Cluster::configs_in_play() const {
    const ConfigTruth& configs = truth_.configs;
    std::set<ConfigTruth::Ref> refs{configs.settled()};
    for (uint32_t number : machines())
        for (auto ref : configs.stack(number))
            if (configs.at(ref).index > configs.at(configs.settled()).index) refs.insert(ref);
    std::vector<const Membership*> found;
    for (auto ref : refs) found.push_back(&configs.at(ref).what.membership);
    return found;
}

std::vector<uint32_t> Cluster::machines() const {
    std::vector<uint32_t> numbers;
    for (uint32_t i = 1; i <= count(); ++i)
        if (!members_[i]->lost) numbers.push_back(i);
    return numbers;
}

void Cluster::trace(uint32_t number, std::string_view text) {
    if (trace_.on) trace_.line(kernel_.now(), name_of(number), text);
}

bool Cluster::paused(uint32_t member) const {
    return members_[member]->process != nullptr && members_[member]->process->machine.paused();
}

const daemon::Node* Cluster::node(uint32_t member) const {
    return members_[member]->process == nullptr ? nullptr : members_[member]->process->node.get();
}

daemon::Faults& Cluster::faults(uint32_t member) { return members_[member]->process->node->faults(); }

std::string Cluster::dump(uint32_t member) const {
    const daemon::Node* it = node(member);
    return it == nullptr ? name_of(member) + " is down\n" : it->dump();
}

void Cluster::start_in(uint32_t member, Duration wait) {
    kernel_.schedule_in(wait, actor_, start_member, member);
}

void Cluster::start(uint32_t number) {
    Member& member = *members_[number];
    if (member.process != nullptr || member.lost) return;
    network_.set_host_up(number, true);
    ++restarts_;
    ++member.life;
    member.stopping = false;
    member.process = std::make_unique<Process>(kernel_, member, network_, number, random_.next());
    Process& process = *member.process;
    if (trace_.on) {
        process.machine.log().level_max = static_cast<int>(LogLevel::debug);
        process.machine.log().out = [this, number](std::string_view line) { trace(number, line); };
    }
    process.options = node_options(number);
    process.options.store = &process.store;
    process.machine.on_end = [this, number] {
        kernel_.schedule_in(microseconds(1), actor_, clean_up,
                            uint64_t{number} | members_[number]->life << 16);
    };
    member.repaired = {};
    process.machine.run([&] { open_node(number, process); });
    if (process.refused) ended(number);
}

daemon::NodeOptions Cluster::node_options(uint32_t number) const {
    const Member& member = *members_[number];
    daemon::NodeOptions options;
    options.settings.name = member.name;
    options.peer = name_of(number) + ":7001";
    options.client = client_address(number);
    if (member.moved) options.settings.listen_peer = member.peer;
    options.settings.data_dir = kDataDir;
    options.settings.raft.heartbeat_interval = options_.heartbeat;
    options.settings.raft.election_timeout = options_.election_timeout;
    options.settings.raft.batch_bytes_max = options_.batch_bytes_max;
    options.settings.raft.in_flight_bytes_max = options_.in_flight_bytes_max;
    options.settings.limits.append_queue_bytes_max = options_.append_queue_bytes_max;
    options.settings.log.segment_bytes = options_.segment_bytes;
    options.settings.log.buffer_bytes = options_.buffer_bytes;
    options.settings.snapshot.wal_keep_bytes = options_.wal_keep_bytes;
    options.settings.log.disk_free_min = options_.segment_bytes * 2;
    options.settings.log.scrub_rate = options_.scrub_rate;
    options.settings.log.disk_free_reserve = options_.segment_bytes;
    options.state_limits = options_.state;
    options.archives_first = options_.archives_first;
    options.transfer_part_bytes = options_.transfer_part_bytes;
    options.simulated = true;
    options.black_box = false;  // a seed repeats the run anyway
    options.version = "simulated";
    options.pid = member.life;
    options.first_segment_bytes = options_.segment_bytes;
    return options;
}

/// As the process would at its start.
void Cluster::open_node(uint32_t number, Process& process) {
    auto opened = daemon::Node::open(process.machine.io(), process.options);
    if (!opened) {
        process.refused = opened.error();
        return;
    }
    process.node = std::move(*opened);
    truth_.started(number, *process.node);
    note_address(number, *process.node);
    if (members_[number]->damage_expected) reached_.hit(Reach::rot_survived);
    auto started = process.node->start();
    CHECK(started.has_value());
    process.machine.set_handler(process.node.get());
    Member& member = *members_[number];
    process.machine.after_turn = [this, number, &member, &process] {
        truth_.after_turn(number, *process.node);
        if (process.node->holed()) reached_.hit(Reach::hole_met);
        const daemon::Node::Repaired repaired = process.node->repaired();
        if (repaired.holes > member.repaired.holes) reached_.hit(Reach::hole_repaired);
        if (repaired.files > member.repaired.files) reached_.hit(Reach::file_repaired);
        member.repaired = repaired;
        if (kernel_.events() % 16 == 0) check_use(number, *process.node);
        if (member.stopping && process.node->stopped())
            throw ProcessEnded(ProcessEnded::fatal, ExitCode::ok, "stopped");
    };
    trace(number, "started, term " + std::to_string(raw(process.node->core().term())) + ", log to " +
                      std::to_string(raw(process.node->core().last())));
}

/// Without a setting of its own it listens where the configuration in its log says.
void Cluster::note_address(uint32_t number, const daemon::Node& node) {
    Member& member = *members_[number];
    const daemon::MemberInfos& infos = node.members().in_force().infos;
    auto me = infos.find(NodeId{number});
    if (!member.moved) member.peer = me != infos.end() ? me->second.peer : name_of(number) + ":7001";
}

void Cluster::take_down(uint32_t number) {
    truth_.ended(number);
    std::unique_ptr<Process> process = std::move(members_[number]->process);
    process->node.reset();
}

void Cluster::kill(uint32_t number) {
    if (!up(number)) return;
    trace(number, "killed");
    take_down(number);
}

void Cluster::cut_power(uint32_t number, const CrashPolicy& policy) {
    network_.set_host_up(number, false);
    if (up(number)) take_down(number);
    trace(number, "power cut");
    members_[number]->storage.fault = nullptr;
    members_[number]->storage.crash(random_, policy);
    members_[number]->store.cut_power(random_);
}

void Cluster::stop(uint32_t number) {
    if (!up(number) || members_[number]->stopping) return;
    trace(number, "asked to stop");
    members_[number]->stopping = true;
    Machine& machine = members_[number]->process->machine;
    machine.post({machine.local_now(), io::Stop{}}, Inbox::kCompletions);
    machine.settle();
}

void Cluster::pause(uint32_t number, bool paused) {
    if (!up(number)) return;
    trace(number, paused ? "paused" : "goes on");
    members_[number]->process->machine.pause(paused);
}

void Cluster::put_back(uint32_t number, const SimStorage& image) {
    cut_power(number, CrashPolicy::lose_all());
    Member& member = *members_[number];
    member.storage = image;
    member.stale = true;
    truth_.put_back(number);
    trace(number, "has an old image of its disk");
}

void Cluster::give_up(uint32_t number) {
    kill(number);
    members_[number]->lost = true;
}

namespace {

/// As raftd's main does.
ExitCode code_of(const Error& refused) {
    switch (refused.code) {
        case Errc::conflict: return ExitCode::directory_in_use;
        case Errc::too_new: return ExitCode::too_new;
        default: return ExitCode::damaged;
    }
}

}  // namespace

bool Cluster::end_expected(const Member& member, const ProcessEnded& why,
                           const std::optional<Error>& refused) const {
    if (why.code == ExitCode::ok) return true;
    if (why.code == ExitCode::sync_failed) return member.sync_failure_expected || member.damage_expected;
    // Without room one start alone may be refused: that of a log which has to begin anew behind a snapshot.
    if (refused && refused->code == Errc::io && member.storage.limited())
        return refused->what.starts_with("can't make ") && refused->what.find("/wal/") != std::string::npos;
    if (member.stale && why.code == ExitCode::directory_in_use) return true;
    return member.damage_expected &&
           (why.code == ExitCode::damaged || why.code == ExitCode::directory_in_use ||
            why.code == ExitCode::too_new);
}

/// One with damage stays down; one that was refused tries again some times, as under a supervisor.
void Cluster::note_end(uint32_t number, Member& member, ExitCode code) {
    constexpr uint32_t kRefusalsMax = 12;
    if (code == ExitCode::ok) return;
    if (code == ExitCode::sync_failed) return reached_.hit(Reach::sync_failed);
    if (member.stale && code == ExitCode::directory_in_use) {
        reached_.hit(Reach::put_back_refused);
        member.lost = ++member.refusals >= kRefusalsMax;
    } else if (member.damage_expected) {
        reached_.hit(Reach::member_unstartable);
        member.lost = true;
    }
    if (member.lost) trace(number, "is lost");
}

/// The process ended itself, or didn't start.
void Cluster::ended(uint32_t number) {
    Member& member = *members_[number];
    std::optional<Error> refused = member.process->refused;
    ProcessEnded why = refused ? ProcessEnded(ProcessEnded::fatal, code_of(*refused), refused->what)
                               : *member.process->machine.ended();
    trace(number, std::string("ended: ") + why.what());
    member.last_end = why.why;
    if (why.kind == ProcessEnded::check)
        throw Violation(Ending::check_failed, name_of(number) + ": " + why.why);
    if (why.kind == ProcessEnded::power) {
        reached_.hit(Reach::power_cut_inside_turn);
        cut_power(number, CrashPolicy::draw(random_));
    } else {
        take_down(number);
        if (!end_expected(member, why, refused))
            throw Violation(Ending::correctness, name_of(number) + " ended with " +
                                                     std::to_string(static_cast<int>(why.code)) + ": " +
                                                     why.why);
        note_end(number, member, why.code);
    }
    if (comes_back && !member.lost)
        start_in(number, milliseconds(50) + Duration{static_cast<int64_t>(random_.below(2'000'000'000))});
}

/// I20: what grows with load stays within its setting and one batch.
void Cluster::check_use(uint32_t number, const daemon::Node& node) const {
    const daemon::Node::Use use = node.use();
    auto bounded = [&](const char* what, uint64_t bytes, uint64_t bound) {
        if (bytes > bound)
            throw Violation(Ending::correctness, name_of(number) + " holds " + std::to_string(bytes) +
                                                     " bytes of " + what + ", over its bound of " +
                                                     std::to_string(bound));
    };
    const uint64_t batch = options_.batch_bytes_max + kRecordBytesMax;
    bounded("admitted appends", use.admitted, options_.append_queue_bytes_max + batch);
    bounded("the log buffer", use.buffer, options_.buffer_bytes + use.not_durable + use.run_max + batch);
    bounded("entries in flight", use.in_flight, options_.in_flight_bytes_max + batch);
    // A false alarm would stop compaction for an hour.
    if (node.says_members_differ())
        throw Violation(Ending::correctness, name_of(number) + " says that members differ: " + node.dump());
}

void Cluster::audit_perhaps(uint32_t number, double chance) {
    const auto names = static_cast<double>(members_[number]->storage.names());
    if (random_.chance(chance * 16 / (16 + names))) audit(number);
}

void Cluster::audit(uint32_t number) {
    if (hit(number)) return;  // what it may lose and what it refuses is judged at its start
    SimStorage image = members_[number]->storage;
    Random random(random_.next());
    image.crash(random, CrashPolicy::lose_all());
    SimWorld world(image, random.next());
    world.machine().run([&] {
        wal::Options options = wal_options(number);
        auto current = snapshot::read_current(world.machine().files(), std::string(kDataDir) + "/snapshot");
        if (!current)
            throw Violation(Ending::correctness,
                            name_of(number) + " has no snapshot after a power cut: " + current.error().what);
        options.base = current->base();
        auto found = wal::open(world.io(), options);
        if (!found)
            throw Violation(Ending::correctness,
                            name_of(number) + " wouldn't start after a power cut: " + found.error().what);
        if (found->report.segments > 1) reached_.hit(Reach::segment_rolled);
        truth_.check_promises(number, found->hard, found->last);
    });
    if (world.ended())
        throw Violation(Ending::check_failed, name_of(number) + ", recovery: " + world.ended()->why);
}

void Cluster::fire(uint32_t kind, uint64_t data) {
    auto number = static_cast<uint32_t>(data & 0xffff);
    if (kind == start_member) {
        if (comes_back) start(number);
    } else if (members_[number]->life == data >> 16 && up(number) &&
               members_[number]->process->machine.ended()) {
        ended(number);
    }
}

}  // namespace raftd::sim
