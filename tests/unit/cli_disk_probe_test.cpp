// What doctor makes of mounts and of measured times.
#include "cli/disk_probe.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace raftd::cli {
namespace {

constexpr std::string_view kMounts =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro\n"
    "30 22 0:25 / /tmp rw,nosuid - tmpfs tmpfs rw,size=8k\n"
    "31 22 0:26 / /mnt/a\\040b rw,relatime - xfs /dev/sdb1 rw,nobarrier\n"
    "32 22 0:27 / /data rw - nfs4 server:/x rw,vers=4.2,hard\n"
    "33 32 0:28 / /data rw - fuse.sshfs host:/y rw\n"
    "34 22 0:29 / /var/lib rw - overlay overlay rw,lowerdir=/l,volatile,upperdir=/u\n"
    "not a line of this file\n";

TEST(DiskProbe, FindsTheMountOfAPath) {
    auto type = [](std::string_view path) {
        auto mount = mount_of(kMounts, path);
        return mount ? mount->type : "none";
    };
    EXPECT_EQ(type("/"), "ext4");
    EXPECT_EQ(type("/tmpfs/demo"), "ext4") << "a name that only begins like a mount's";
    EXPECT_EQ(type("/tmp/demo/n1"), "tmpfs");
    EXPECT_EQ(type("/tmp"), "tmpfs");
    EXPECT_EQ(type("/mnt/a b/n1"), "xfs");
    EXPECT_EQ(type("/data/n1"), "fuse.sshfs") << "the last one mounted there";
    EXPECT_EQ(mount_of(kMounts, "/mnt/a b")->options, "rw,relatime,rw,nobarrier");
    EXPECT_FALSE(mount_of("", "/"));
}

TEST(DiskProbe, NamesWhatIsNotToBeTrusted) {
    for (const char* type : {"tmpfs", "ramfs", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse",
                             "fuse.sshfs", "overlay", "ceph"})
        EXPECT_TRUE(distrust({"/", type, "rw"})) << type;
    for (const char* type : {"ext4", "xfs", "btrfs", "zfs", "fuseblk"})
        EXPECT_FALSE(distrust({"/", type, "rw,relatime"})) << type;
    EXPECT_NE(distrust({"/", "overlay", "rw,volatile"})->find("syncs do nothing"), std::string::npos);
    EXPECT_TRUE(distrust({"/", "xfs", "rw,nobarrier"}));
    EXPECT_TRUE(distrust({"/", "ext4", "rw,barrier=0,x"}));
    EXPECT_FALSE(distrust({"/", "ext4", "rw,barrier=01"}));
}

TEST(DiskProbe, AnElectionTimeoutIsTenSyncs) {
    EXPECT_EQ(election_timeout_for(microseconds(1)), milliseconds(50));
    EXPECT_EQ(election_timeout_for(milliseconds(5)), milliseconds(50));
    EXPECT_EQ(election_timeout_for(milliseconds(5) + microseconds(1)), milliseconds(100));
    EXPECT_EQ(election_timeout_for(milliseconds(100)), seconds(1));
    EXPECT_EQ(election_timeout_for(milliseconds(510)), seconds(10));
    EXPECT_EQ(election_timeout_for(seconds(3)), seconds(30));
}

TEST(DiskProbe, QuantilesAreOfTheTimesThereAre) {
    SyncTimes times;
    for (int i = 1; i <= 1000; ++i) times.sorted.push_back(microseconds(i));
    EXPECT_EQ(times.at(500), microseconds(501));
    EXPECT_EQ(times.at(999), microseconds(1000));
    times.sorted.resize(1);
    EXPECT_EQ(times.at(999), microseconds(1));
}

TEST(DiskProbe, MeasuresAndLeavesNothing) {
    const std::string folder = ::testing::TempDir();
    SyncTimes times = time_syncs(folder, 10, seconds(3600), seconds(3600));
    EXPECT_EQ(times.failure, "");
    EXPECT_EQ(times.sorted.size(), 10u);
    EXPECT_FALSE(times.hangs);
    EXPECT_NE(::access((folder + "/doctor.tmp").c_str(), F_OK), 0);
    times = time_syncs(folder + "/no such folder", 10, seconds(3600), seconds(3600));
    EXPECT_TRUE(times.sorted.empty());
    EXPECT_NE(times.failure, "");
    EXPECT_EQ(time_syncs(folder, 10, Duration{}, seconds(3600)).sorted.size(), 0u) << "bounded in time too";
}

}  // namespace
}  // namespace raftd::cli
