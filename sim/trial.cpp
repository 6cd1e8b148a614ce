#include "sim/trial.h"

#include <algorithm>

#include "sim/churn.h"
#include "sim/former.h"
#include "sim/keeper.h"
#include "sim/progress.h"

namespace raftd::sim {
namespace {

constexpr int64_t kHealWithin = 20;               // election timeouts, until a healed majority works again
constexpr Duration kShipEntry = milliseconds(8);  // to a member that lacks it, whatever its size

class Trial {
public:
    explicit Trial(const TrialOptions& options)
        : knobs_(Knobs::draw(options.seed, options.profile, options.members, options.length)),
          profile_(options.profile),
          kernel_(options.seed),
          network_(kernel_, kernel_.random.next()) {
        trace_.on = options.trace;
        result.knobs = knobs_.text();
    }

    void run();
    void collect();
    TrialResult result;

private:
    void set_up();
    void live_before();
    void live_through_faults();
    void converge(const std::set<uint32_t>& core, const char* what);
    bool agree(const std::set<uint32_t>& core) const;
    std::set<uint32_t> members_in(const std::set<uint32_t>& core) const;
    bool settled() const;
    void change_afresh(const std::set<uint32_t>& core);
    void read_whole(const std::set<uint32_t>& core);
    SimClient& fresh_client(const std::set<uint32_t>& core);
    void stay_calm();
    template <class Done>
    void wait_for(Duration within, const std::string& what, Done&& done);
    [[noreturn]] void stuck(const std::string& what) const;

    Knobs knobs_;
    Profile profile_;
    Trace trace_;
    Kernel kernel_;
    SimNetwork network_;
    std::unique_ptr<Former> former_;  // of some runs
    std::unique_ptr<Cluster> cluster_;
    std::unique_ptr<Ledger> ledger_;
    std::vector<std::unique_ptr<SimClient>> clients_;
    std::unique_ptr<Faults> faults_;
    std::unique_ptr<Churn> churn_;
    std::unique_ptr<Keeper> keeper_;  // of some runs
    std::unique_ptr<Progress> progress_;
};

void Trial::stuck(const std::string& what) const { throw Violation(Ending::liveness, what); }

template <class Done>
void Trial::wait_for(Duration within, const std::string& what, Done&& done) {
    Instant until = kernel_.now() + within;
    while (!done()) {
        if (kernel_.now() >= until) stuck(what);
        kernel_.run_until(std::min(until, kernel_.now() + milliseconds(20)));
    }
}

void Trial::set_up() {
    if (knobs_.former_members != 0) live_before();
    if (!cluster_)
        cluster_ = std::make_unique<Cluster>(kernel_, network_, trace_, result.reached, knobs_.cluster);
    network_.model = knobs_.net;
    ledger_ = std::make_unique<Ledger>(cluster_->truth(), result.reached);
    if (former_) ledger_->take_over(former_->records());
    for (uint32_t i = 1; i <= knobs_.clients; ++i) {
        ClientLoad load = knobs_.load;
        if (i <= knobs_.shared_names) load.producer = "shared";  // the first two, or none
        if (i > knobs_.shared_names && i <= knobs_.shared_names + knobs_.own_names)
            load.producer = "client-" + std::to_string(i);
        if (knobs_.few_producers && i == 1) load.numbered = 0, load.producer.clear();
        clients_.push_back(std::make_unique<SimClient>(kernel_, network_, *ledger_, result.reached, i,
                                                       cluster_->names(), load));
    }
    faults_ =
        std::make_unique<Faults>(kernel_, network_, *cluster_, clients_, trace_, result.reached, knobs_);
    churn_ = std::make_unique<Churn>(kernel_, network_, *cluster_, clients_, *faults_, trace_, result.reached,
                                     knobs_);
    if (knobs_.keeping)
        keeper_ = std::make_unique<Keeper>(kernel_, network_, *cluster_, trace_, result.reached, 198);
    progress_ = std::make_unique<Progress>(kernel_, network_, *cluster_, clients_, result.reached,
                                           knobs_.rate_spread);
    for (uint32_t i = 1; i <= cluster_->count(); ++i)
        cluster_->start_in(i, Duration{static_cast<int64_t>(kernel_.random.below(500'000'000))});
    for (auto& client : clients_) client->start();
}

/// The cluster is restored from the save of another, whose clients go on and know nothing of it.
void Trial::live_before() {
    former_ = std::make_unique<Former>(kernel_, network_, trace_, result.reached, knobs_.cluster,
                                       knobs_.former_members, knobs_.cluster.members);
    if (!former_->live()) stuck("the former cluster takes no snapshot");
    former_->end();
    cluster_ = std::make_unique<Cluster>(kernel_, network_, trace_, result.reached, knobs_.cluster,
                                         former_->save(), former_->members());
    result.reached.hit(Reach::restored);
}

void Trial::live_through_faults() {
    faults_->begin();
    if (knobs_.churn) churn_->begin();
    if (keeper_) keeper_->begin(knobs_.keeping_every);
    progress_->begin(!knobs_.network);  // with lost and late frames there is no saying when
    Instant end = kernel_.now() + knobs_.length;
    kernel_.run_until(end);
    progress_->end();
    if (profile_ != Profile::quiet && profile_ != Profile::speed) return;
    if (cluster_->truth().elections() > 2) stuck("more than two elections without any fault");
    if (ledger_->records_acked() == 0) stuck("nothing was appended without any fault");
    if (result.reached[Reach::append_unknown] != 0)
        throw Violation(Ending::correctness, "an append has an unknown outcome without any fault");
}

/// Those of the core that belong to the cluster by now: a change may have been carried on.
std::set<uint32_t> Trial::members_in(const std::set<uint32_t>& core) const {
    const ConfigTruth& configs = cluster_->truth().configs;
    std::set<uint32_t> members;
    for (uint32_t i : core)
        if (ConfigTruth::names(configs.at(configs.settled()).what.membership, NodeId{i})) members.insert(i);
    return members;
}

bool Trial::agree(const std::set<uint32_t>& core) const {
    const Truth& truth = cluster_->truth();
    for (uint32_t i : members_in(core)) {
        const daemon::Node* node = cluster_->node(i);
        if (node == nullptr || raw(node->core().commit()) != truth.committed() ||
            node->core().last() != node->core().commit())
            return false;
    }
    return true;
}

/// L4: a configuration that isn't joint is in force and committed, and nothing is being handed over.
bool Trial::settled() const {
    const Truth& truth = cluster_->truth();
    const uint32_t leader = truth.leader();
    const ConfigTruth& configs = truth.configs;
    return leader != 0 && configs.in_force(leader) == configs.settled() &&
           !configs.at(configs.settled()).what.membership.joint() &&
           cluster_->node(leader)->core().accepting();
}

/// One that has nothing under way: it knows these members only.
SimClient& Trial::fresh_client(const std::set<uint32_t>& core) {
    ClientLoad load = knobs_.load;
    load.appends_per_second = load.reads_per_second = 0;
    load.follow = false;
    load.producer.clear();
    load.numbered = knobs_.few_producers ? 0 : load.numbered;
    std::vector<std::string> names, addresses;
    for (uint32_t i : core) {
        names.push_back(cluster_->member_name(i));
        addresses.push_back(cluster_->client_address(i));
    }
    clients_.push_back(std::make_unique<SimClient>(kernel_, network_, *ledger_, result.reached,
                                                   static_cast<uint32_t>(clients_.size()) + 1, names, load));
    clients_.back()->set_members(names, addresses);
    clients_.back()->start();
    return *clients_.back();
}

/// L1 to L5: a leader, a fresh append acknowledged, no change nor transfer under way, and all of the core
/// equal.
void Trial::converge(const std::set<uint32_t>& core, const char* what) {
    const Duration bound = knobs_.cluster.election_timeout * kHealWithin;
    SimClient& client = fresh_client(core);
    client.probe();
    wait_for(bound, std::string(what) + ": no fresh append was acknowledged", [&] {
        if (client.probes_acked() > 0) return true;
        client.probe();  // one that was refused or lost is made again
        return false;
    });
    wait_for(bound, std::string(what) + ": a change of the members or a transfer doesn't end",
             [&] { return settled(); });
    change_afresh(core);
    wait_for(bound + kShipEntry * static_cast<int64_t>(cluster_->truth().committed()),
             std::string(what) + ": the members don't agree", [&] { return agree(core); });
}

/// L5: the members can be changed, and leadership given to another one of the core.
void Trial::change_afresh(const std::set<uint32_t>& core) {
    // Who is taken in has to get the whole log before it votes.
    const Duration bound = knobs_.cluster.election_timeout * kHealWithin +
                           kShipEntry * static_cast<int64_t>(cluster_->truth().committed());
    auto done = [&](auto&& begin) {
        if (churn_->afresh_pending()) return false;
        if (churn_->afresh_done()) return true;
        begin();
        return false;
    };
    churn_->change_afresh(core);
    wait_for(bound, "the members can't be changed",
             [&] { return done([&] { churn_->change_afresh(core); }); });
    const ConfigTruth& configs = cluster_->truth().configs;
    const Membership& now = configs.at(configs.settled()).what.membership;
    std::vector<uint32_t> others;
    for (uint32_t i : core)
        if (ConfigTruth::votes(now, NodeId{i}) && i != cluster_->truth().leader()) others.push_back(i);
    if (others.empty()) return;
    const uint32_t to = others[kernel_.random.below(others.size())];
    churn_->transfer_afresh(to);
    wait_for(bound, "leadership can't be given to n" + std::to_string(to),
             [&] { return done([&] { churn_->transfer_afresh(to); }); });
}

/// L6: a fresh tail from the beginning gives all, from each member of the core.
void Trial::read_whole(const std::set<uint32_t>& core) {
    for (uint32_t i : members_in(core)) {
        // It knows this address only: a removed member that still runs may have the same name.
        SimClient& client = fresh_client({i});
        auto wanted =
            static_cast<int64_t>(raw(cluster_->truth().committed_lsn_end()) - 1);  // more may follow
        client.read_all(cluster_->member_name(i));
        wait_for(knobs_.cluster.election_timeout * kHealWithin +
                     kShipEntry * static_cast<int64_t>(cluster_->truth().committed()),
                 "the log can't be read from n" + std::to_string(i),
                 [&] { return client.whole_read() >= 0; });
        if (client.whole_read() < wanted)
            throw Violation(Ending::correctness, "n" + std::to_string(i) + " gave " +
                                                     std::to_string(client.whole_read()) + " records of " +
                                                     std::to_string(wanted));
    }
}

/// L7: without faults nothing changes hands any more, once whoever is preferred leads.
void Trial::stay_calm() {
    const Truth& truth = cluster_->truth();
    auto priority = [&](uint32_t member) {
        for (const Member& one : truth.configs.at(truth.configs.settled()).what.membership.now)
            if (one.id == NodeId{member}) return static_cast<int>(one.priority);
        return -1;
    };
    wait_for(knobs_.cluster.election_timeout * kHealWithin, "a member of a lower priority goes on leading",
             [&] {
                 bool preferred = settled();
                 for (const Member& one : truth.configs.at(truth.configs.settled()).what.membership.now)
                     preferred = preferred && (one.learner || one.priority <= priority(truth.leader()) ||
                                               cluster_->lost(static_cast<uint32_t>(raw(one.id))));
                 return preferred;
             });
    const uint64_t elections = truth.elections();
    const Term term = truth.term_max();
    kernel_.run_until(kernel_.now() + seconds(60));
    if (truth.elections() != elections) stuck("an election without any fault");
    if (truth.term_max() != term) stuck("terms rise without any fault");
}

void Trial::run() {
    set_up();
    live_through_faults();
    churn_->end();
    if (keeper_) keeper_->end();
    for (auto& client : clients_) client->set_appending(false);
    cluster_->comes_back = false;
    std::set<uint32_t> core = faults_->heal_core();
    converge(core, "after healing a majority");
    read_whole(core);
    // What has a number is sent again to whoever leads; the rest waits for who may have it, as long as it
    // may.
    auto decided = [&](bool all) {
        return std::all_of(clients_.begin(), clients_.end(), [all](const auto& client) {
            return client->outstanding() == 0 || (!all && !client->sends_again());
        });
    };
    wait_for(knobs_.cluster.election_timeout * kHealWithin, "appends with numbers without any outcome",
             [&] { return decided(false); });
    wait_for(knobs_.load.timeout, "appends without any outcome", [&] { return decided(true); });
    faults_->heal_all();
    std::set<uint32_t> all;
    for (uint32_t i : cluster_->machines()) all.insert(i);
    converge(members_in(all), "after healing all");
    all = members_in(all);
    read_whole(all);
    ledger_->check_complete(cluster_->truth().committed_lsn_end());
    stay_calm();
    if (former_ && !former_->nothing_landed())
        throw Violation(Ending::correctness, "an append to the former cluster was acknowledged by this one");
    for (uint32_t i : all) {
        const daemon::Node& node = *cluster_->node(i);
        if (node.state().applied() != node.core().commit()) stuck("the replicated state isn't up to date");
        cluster_->truth().check_state(i, node.state());
        if (const auto* snapshot = node.snapshot()) cluster_->truth().check_archives(i, snapshot->archives);
        cluster_->audit(i);
    }
}

void Trial::collect() {
    result.hash = kernel_.hash();
    result.events = kernel_.events();
    result.virtual_time = kernel_.now() - Instant{1'000'000'000};
    if (cluster_ != nullptr) {
        cluster_->truth().count_lost_terms();
        result.elections = cluster_->truth().elections();
        result.committed = cluster_->truth().committed();
        result.restarts = cluster_->restarts();
        if (result.ending != Ending::pass)
            for (uint32_t i = 1; i <= cluster_->count(); ++i) result.dumps += cluster_->dump(i);
    }
    if (ledger_ != nullptr) result.acked = ledger_->records_acked();
    if (faults_ != nullptr) result.faults = faults_->totals();
    if (churn_ != nullptr) result.changes = churn_->totals();
    result.net = network_.totals;
    result.reached.hit(Reach::client_frame_doubled, network_.totals.appends_doubled);
    result.reached.hit(Reach::frame_corrupted, network_.totals.corrupted);
    result.reached.hit(Reach::frame_stray, network_.totals.doubled + network_.totals.reordered);
    result.reached.hit(Reach::connection_timed_out, network_.totals.timed_out);
}

}  // namespace

TrialResult run_trial(const TrialOptions& options) {
    Trial trial(options);
    try {
        trial.run();
    } catch (const Violation& found) {
        trial.result.ending = found.kind;
        trial.result.text = found.text;
    } catch (const ProcessEnded& ended) {  // outside any process: the simulator itself
        trial.result.ending = Ending::check_failed;
        trial.result.text = std::string("simulator: ") + ended.what();
    }
    trial.collect();
    return std::move(trial.result);
}

}  // namespace raftd::sim
