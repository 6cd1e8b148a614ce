#include "cli/events.h"

#include <gtest/gtest.h>

namespace raftd::cli {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

TEST(EventFields, ComeApartAtSpacesOutsideQuotes) {
    EXPECT_EQ(event_fields("stopping"), (Fields{{"event", "stopping"}}));
    EXPECT_EQ(event_fields("became_leader term=7 leader=n1"),
              (Fields{{"event", "became_leader"}, {"term", "7"}, {"leader", "n1"}}));
    EXPECT_EQ(event_fields("peer_refused why=\"claims to be \\\"n1\\\", a copy\" peer=2"),
              (Fields{{"event", "peer_refused"}, {"why", "claims to be \"n1\", a copy"}, {"peer", "2"}}));
}

TEST(EventFields, OfALineThatIsCutOffAreWhatThereIs) {
    EXPECT_EQ(event_fields("x a="), (Fields{{"event", "x"}, {"a", ""}}));
    EXPECT_EQ(event_fields("x a=\"half"), (Fields{{"event", "x"}, {"a", "half"}}));
    EXPECT_EQ(event_fields("x lone"), (Fields{{"event", "x"}}));
    EXPECT_EQ(event_fields(""), (Fields{{"event", ""}}));
}

}  // namespace
}  // namespace raftd::cli
