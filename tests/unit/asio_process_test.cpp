// Log lines and files, the lock on a data directory, and what a service manager is told.
#include <sys/socket.h>
#include <sys/un.h>

#include <fstream>
#include <sstream>

#include "io/asio/log_file.h"
#include "io/asio/process.h"
#include "tests/unit/asio_support.h"

namespace raftd::io::asio {
namespace {

std::string text_in(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
}

/// The line that LogLine makes of these values, as the file would have it.
std::string line_of(bool json, std::string_view text, int number) {
    QuietLog log;
    LogLine(log, LogLevel::warn, "went_wrong")("why", text)("count", number)("fatal", false)("peer", "");
    return format_log_line(json, 1795266000123, LogLevel::warn, log.lines.at(0));
}

TEST(LogFile, WritesLinesThatPeopleAndProgramsRead) {
    EXPECT_EQ(line_of(false, "no disk", 7),
              "2026-11-21T13:00:00.123Z warn went_wrong why=\"no disk\" count=7 fatal=false peer=\"\"\n");
    EXPECT_EQ(line_of(true, "no disk", -7),
              "{\"time\":\"2026-11-21T13:00:00.123Z\",\"level\":\"warn\",\"event\":\"went_wrong\","
              "\"why\":\"no disk\",\"count\":-7,\"fatal\":false,\"peer\":\"\"}\n");
    // Bytes of a hostile peer's name must not break the line, nor make invalid JSON.
    EXPECT_NE(line_of(true, "a\"b\\c\n\xff=d", 1).find("\"why\":\"a\\\"b\\\\c\\u000a\\u00ff=d\",\"count\":1"),
              std::string::npos);
    // A hex id that looks like a number, and one too long for a double, stay text.
    EXPECT_NE(line_of(true, "0123", 1).find("\"why\":\"0123\""), std::string::npos);
    EXPECT_NE(line_of(true, "12345678901234567890", 1).find("\"why\":\"12345678901234567890\""),
              std::string::npos);
}

TEST(LogFile, IsCappedKeepsOneOldFileAndCanBeMovedAway) {
    TemporaryFolder folder;
    LogFileOptions options;
    options.path = folder / "raftd.log";
    options.bytes_max = 1000;
    LogFile log(options);
    ASSERT_EQ(log.open(), 0);
    for (int i = 0; i < 100; ++i) LogLine(log, LogLevel::info, "event")("number", i);
    EXPECT_LE(text_in(options.path).size(), 1000u);
    EXPECT_LE(text_in(options.path + ".1").size(), 1000u);
    EXPECT_NE(text_in(options.path).find("number=99"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(options.path + ".2"));
    std::filesystem::rename(options.path, folder / "moved");
    log.reopen();
    LogLine(log, LogLevel::info, "after");
    LogLine(log, LogLevel::debug, "unwanted");
    EXPECT_NE(text_in(options.path).find("info after\n"), std::string::npos);
    EXPECT_EQ(text_in(options.path).find("unwanted"), std::string::npos);
}

TEST(LogFile, KnowsItsLevels) {
    LogLevel level{};
    EXPECT_TRUE(parse_log_level("debug", level));
    EXPECT_EQ(level, LogLevel::debug);
    EXPECT_FALSE(parse_log_level("loud", level));
}

// Two processes on one directory would write over each other's log.
TEST(DirectoryLock, IsHeldByOneAndNamesTheHolder) {
    TemporaryFolder folder;
    {
        auto lock = DirectoryLock::take(folder.path);
        ASSERT_TRUE(lock);
        auto second = DirectoryLock::take(folder.path);
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code, Errc::conflict);
        EXPECT_NE(second.error().what.find("in use by process " + std::to_string(::getpid())),
                  std::string::npos);
    }
    EXPECT_TRUE(DirectoryLock::take(folder.path));
    auto missing = DirectoryLock::take(folder / "none");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::not_found);
    EXPECT_FALSE(std::filesystem::exists(folder / "none"));  // never made
}

TEST(PidFile, ComesAndGoes) {
    TemporaryFolder folder;
    {
        PidFile file(folder / "raftd.pid");
        EXPECT_EQ(text_in(folder / "raftd.pid"), std::to_string(::getpid()) + "\n");
    }
    EXPECT_FALSE(std::filesystem::exists(folder / "raftd.pid"));
}

TEST(ServiceManager, IsToldByOneDatagram) {
    TemporaryFolder folder;
    std::string path = folder / "notify";
    int socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    notify_service_manager("READY=1");  // nobody to tell: nothing happens
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    notify_service_manager("READY=1");
    ::unsetenv("NOTIFY_SOCKET");
    char text[64];
    ssize_t got = ::recv(socket, text, sizeof text, MSG_DONTWAIT);
    EXPECT_EQ(std::string(text, static_cast<size_t>(std::max<ssize_t>(got, 0))), "READY=1");
    ::close(socket);
}

}  // namespace
}  // namespace raftd::io::asio
