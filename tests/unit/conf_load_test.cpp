#include "conf/load.h"
#include "conf/reload.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "conf/table.h"
#include "conf/units.h"

namespace raftd::conf {
namespace {

constexpr const char* kNode =
    "format = 1\ncluster = \"../cluster.toml\"\nname = \"n1\"\ndata_dir = \"data\"\n";  // 4 lines

std::string first_problem(const std::string& more) {
    std::vector<Problem> problems;
    parse_node_settings(kNode + more, "n1/raftd.toml", problems);
    return problems.empty() ? "" : problems.front().where + ": " + problems.front().what;
}

TEST(NodeSettings, ReadsValuesWithUnits) {
    std::vector<Problem> problems;
    std::vector<std::string> given;
    NodeSettings settings = parse_node_settings(
        std::string(kNode) +
            "[raft]\nheartbeat_interval = \"20ms\"\nelection_timeout = \"200ms\"\n"
            "[log]\nsegment_bytes = \"2MiB\"\n[limits]\ntails_max = 7\n[logging]\nlevel = \"debug\"\n",
        "/srv/n1/raftd.toml", problems, &given);
    ASSERT_TRUE(problems.empty()) << problems.front().what;
    EXPECT_EQ(settings.raft.heartbeat_interval, milliseconds(20));
    EXPECT_EQ(settings.log.segment_bytes, 2u << 20);
    EXPECT_EQ(settings.limits.tails_max, 7u);
    EXPECT_EQ(settings.logging.level, "debug");
    EXPECT_EQ(settings.raft.in_flight_bytes_max, NodeSettings{}.raft.in_flight_bytes_max);
    EXPECT_EQ(settings.data_dir, "/srv/n1/data");
    EXPECT_EQ(settings.cluster, "../cluster.toml");
    EXPECT_EQ(given.size(), 8u);
}

// An error must show where it is and what would be right; these texts are what a person reads.
TEST(NodeSettings, NamesTheNearestSetting) {
    EXPECT_EQ(first_problem("[raft]\nheartbeat_intervall = \"1s\"\n"),
              "n1/raftd.toml:6:1: raft.heartbeat_intervall: unknown setting; did you mean "
              "raft.heartbeat_interval?");
    EXPECT_EQ(first_problem("[raff]\nx = 1\n"), "n1/raftd.toml:5:2: raff: unknown table; did you mean raft?");
    EXPECT_EQ(first_problem("[raft]\nzzzzzzzzz = 1\n"), "n1/raftd.toml:6:1: raft.zzzzzzzzz: unknown setting");
}

TEST(NodeSettings, ShowsTheRightFormForABareNumber) {
    EXPECT_EQ(first_problem("[raft]\nelection_timeout = 1500\n"),
              "n1/raftd.toml:6:20: raft.election_timeout: needs a duration in quotes, like \"1s\", not a "
              "bare number; "
              "write election_timeout = \"1500ms\"");
    EXPECT_EQ(
        first_problem("[log]\nsegment_bytes = 64\n"),
        "n1/raftd.toml:6:17: log.segment_bytes: needs a size in quotes, like \"64MiB\", not a bare number; "
        "write segment_bytes = \"64MiB\"");
}

TEST(NodeSettings, RefusesWrongTypesUnitsAndRanges) {
    EXPECT_EQ(first_problem("[log]\nsegment_bytes = \"64MB\"\n"),
              "n1/raftd.toml:6:17: log.segment_bytes: \"64MB\" is not a size in quotes, like \"64MiB\" "
              "(units: KiB MiB "
              "GiB TiB)");
    EXPECT_EQ(first_problem("[limits]\ntails_max = \"many\"\n"),
              "n1/raftd.toml:6:13: limits.tails_max: needs a whole number, like 1024, not a text");
    EXPECT_EQ(first_problem("[limits]\ntails_max = -1\n"),
              "n1/raftd.toml:6:13: limits.tails_max: must be 1 to 65536");
    EXPECT_EQ(first_problem("[logging]\nlevel = \"loud\"\n"),
              "n1/raftd.toml:6:9: logging.level: \"loud\" must be error, warn, info or debug");
    EXPECT_EQ(first_problem("[log]\nrecord_bytes_max = \"17MiB\"\n"),
              "n1/raftd.toml:6:20: log.record_bytes_max: must be 1 to 16MiB");
    EXPECT_EQ(first_problem("raft = 3\n"), "n1/raftd.toml:5:8: raft: must be a table, [raft]");
    EXPECT_NE(first_problem("[raft\n"), "");
}

TEST(NodeSettings, RefusesAHeartbeatTooCloseToTheElectionTimeout) {
    std::string problem = first_problem("[raft]\nheartbeat_interval = \"400ms\"\n");
    EXPECT_NE(problem.find("n1/raftd.toml:6:22: raft.election_timeout: is 1s, less than 3 x"),
              std::string::npos)
        << problem;
    EXPECT_NE(problem.find("write at least \"1200ms\""), std::string::npos) << problem;
    EXPECT_EQ(first_problem("[raft]\nheartbeat_interval = \"300ms\"\n"), "");
}

TEST(NodeSettings, AsksForWhatIsMissing) {
    std::vector<Problem> problems;
    parse_node_settings("", "raftd.toml", problems);
    ASSERT_EQ(problems.size(), 4u);
    EXPECT_EQ(problems[0].what, "format: missing; write `format = 1` on the first line");
    EXPECT_NE(error_of(problems).what.find("(and 3 more)"), std::string::npos);
    EXPECT_EQ(error_of(problems).code, Errc::bad_input);
}

// What init writes must load without a complaint and mean the same, whatever the values.
TEST(NodeSettings, RenderedFileReadsBack) {
    NodeSettings settings;
    settings.cluster = "../cluster.toml";
    settings.name = "n1";
    settings.data_dir = "da\"ta";
    settings.listen_peer = "0.0.0.0:7101";
    settings.raft.election_timeout = milliseconds(1500);
    settings.log.segment_bytes = 1u << 20;
    std::vector<Problem> problems;
    std::vector<std::string> given;
    NodeSettings back = parse_node_settings(render_node_toml(settings), "/x/raftd.toml", problems, &given);
    ASSERT_TRUE(problems.empty()) << problems.front().what;
    settings.data_dir = "/x/da\"ta";
    for (const Setting& setting : settings_table())
        EXPECT_EQ(value_text(setting, back), value_text(setting, settings)) << path_of(setting);
    EXPECT_EQ(given.size(), 6u);
}

TEST(SettingsTable, DefaultsLieInTheirRanges) {
    for (const Setting& setting : settings_table()) {
        if (setting.needed || setting.section == "listen") continue;
        EXPECT_EQ(first_problem("[" + std::string(setting.section) + "]\n" + std::string(setting.key) +
                                " = " + default_text(setting) + "\n"),
                  "")
            << path_of(setting);
    }
}

// The page is made from the table: `UPDATE_DOCS=1 build/test_conf` writes it.
TEST(SettingsTable, IsWhatTheDocsPageSays) {
    std::string file = std::string(RAFTD_SOURCE_DIR) + "/docs/settings.md";
    if (std::getenv("UPDATE_DOCS") != nullptr) std::ofstream(file) << settings_page();
    auto page = read_text(file);
    ASSERT_TRUE(page) << page.error().what;
    EXPECT_EQ(*page, settings_page());
}

constexpr const char* kCluster =
    "format = 1\n[cluster]\nname = \"demo\"\nid = \"6f1c00000000000180000000000000aa\"\n"
    "[[member]]\nid = 1\nname = \"n1\"\npeer = \"127.0.0.1:7101\"\nclient = \"127.0.0.1:7201\"\ndata = "
    "\"n1\"\n";

std::string cluster_problem(const std::string& more) {
    std::vector<Problem> problems;
    parse_cluster_spec(kCluster + more, "cluster.toml", problems);
    return problems.empty() ? "" : problems.front().where + ": " + problems.front().what;
}

TEST(ClusterSpec, RenderedFileReadsBack) {
    ClusterSpec spec;
    spec.name = "demo";
    spec.id = {1, 2};
    spec.config_index = 7;
    spec.members = {{NodeId{1}, "n1", "127.0.0.1:7101", "127.0.0.1:7201", "", false, 0, "n1"},
                    {NodeId{4}, "n4", "[::1]:7104", "[::1]:7204", "[::1]:7304", true, 9, ""}};
    std::vector<Problem> problems;
    ClusterSpec back = parse_cluster_spec(render_cluster_toml(spec), "cluster.toml", problems);
    ASSERT_TRUE(problems.empty()) << problems.front().what;
    EXPECT_EQ(render_cluster_toml(back), render_cluster_toml(spec));
    EXPECT_EQ(back.id, spec.id);
    ASSERT_NE(find_member(back, "n4"), nullptr);
    EXPECT_TRUE(find_member(back, "n4")->learner);
    EXPECT_EQ(find_member(back, "n2"), nullptr);
}

// Two members with one id or one address would vote as one, or talk to each other as somebody else.
TEST(ClusterSpec, RefusesWhatTwoMembersShare) {
    auto member = [](const char* id, const char* name, const char* peer, const char* client) {
        return std::string("[[member]]\nid = ") + id + "\nname = \"" + name + "\"\npeer = \"" + peer +
               "\"\nclient = \"" + client + "\"\n";
    };
    EXPECT_EQ(cluster_problem(member("2", "n2", "127.0.0.1:7102", "127.0.0.1:7202")), "");
    EXPECT_EQ(cluster_problem(member("1", "n2", "127.0.0.1:7102", "127.0.0.1:7202")),
              "cluster.toml:12:6: member.id: \"1\" is already the id of n1");
    EXPECT_EQ(cluster_problem(member("2", "n1", "127.0.0.1:7102", "127.0.0.1:7202")),
              "cluster.toml:13:8: member.name: \"n1\" is already another member's name");
    EXPECT_EQ(cluster_problem(member("2", "n2", "127.0.0.1:7201", "127.0.0.1:7202")),
              "cluster.toml:14:8: member.peer: \"127.0.0.1:7201\" is already the client address of n1");
    EXPECT_EQ(cluster_problem(member("2", "n2", "127.0.0.1", "127.0.0.1:7202")),
              "cluster.toml:14:8: member.peer: \"127.0.0.1\" is not an address like \"127.0.0.1:7101\"");
    EXPECT_EQ(cluster_problem("[[member]]\nidd = 2\n"), "cluster.toml:11:1: member.id: missing");
    EXPECT_EQ(cluster_problem(member("2", "n 2", "127.0.0.1:7102", "127.0.0.1:7202")),
              "cluster.toml:13:8: member.name: \"n 2\" is not a name of letters, digits, . _ -");
}

TEST(ClusterSpec, NeedsAVoter) {
    EXPECT_EQ(cluster_problem("role = \"learner\"\n"), "cluster.toml: has no voter");
    EXPECT_EQ(cluster_problem("role = \"king\"\n"),
              "cluster.toml:11:8: member.role: \"king\" must be \"voter\" or \"learner\"");
}

TEST(LoadNodeSettings, SaysThatThereIsNoFile) {
    auto missing = load_node_settings("/nonexistent/raftd.toml");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::not_found);
    EXPECT_EQ(missing.error().what, "can't read /nonexistent/raftd.toml: No such file or directory");
    EXPECT_EQ(read_text("/tmp").error().code, Errc::io);
}

TEST(Reload, TakesOverWhatTheTableAllowsAndNamesTheRest) {
    NodeSettings running, fresh;
    EXPECT_TRUE(take_reloadable(running, fresh).taken.empty());
    fresh.logging.level = "debug";
    fresh.limits.tails_max = 5;
    fresh.log.buffer_bytes = 1u << 22;
    Reloaded done = take_reloadable(running, fresh);
    EXPECT_EQ(done.taken, (std::vector<std::string>{"limits.tails_max", "logging.level"}));
    EXPECT_EQ(done.kept, std::vector<std::string>{"log.buffer_bytes"});
    EXPECT_EQ(running.logging.level, "debug");
    EXPECT_EQ(running.limits.tails_max, 5u);
    EXPECT_EQ(running.log.buffer_bytes, LogSettings{}.buffer_bytes);
}

}  // namespace
}  // namespace raftd::conf
