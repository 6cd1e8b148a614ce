// Records to and from bytes, and the words for places in the log.
#include "cli/format.h"

#include <gtest/gtest.h>

namespace raftd::cli {
namespace {

/// Cuts `input`, fed in pieces of `piece` bytes; "!" and the error's text at its end when it fails.
std::vector<std::string> cut(Framing framing, std::string_view input, size_t piece, uint64_t max = 1000) {
    Splitter splitter(framing, max);
    std::vector<std::string> all;
    std::vector<ByteView> records;
    auto keep = [&](const Result<void>& result) {
        for (ByteView record : records) all.emplace_back(as_text(record));
        records.clear();
        if (!result) all.push_back("!" + result.error().what);
        return result.has_value();
    };
    for (size_t at = 0; at < input.size(); at += piece)
        if (!keep(splitter.feed(as_bytes(input.substr(at, piece)), records))) return all;
    keep(splitter.finish(records));
    return all;
}

// Where reads happen to end must not show in the records.
TEST(Splitter, PiecesOfAnySizeGiveTheSameRecords) {
    using Strings = std::vector<std::string>;
    std::string nul("a\0\0bc\0d", 7), lengths("\0\0\0\1a\0\0\0\0\0\0\0\3bcd", 16);
    std::string long_lines = std::string(300, 'x') + "\n" + std::string(299, 'y');
    for (size_t piece : {1, 2, 3, 5, 7, 1000}) {
        EXPECT_EQ(cut(Framing::lines, "one\n\ntwo\r\nlast", piece), (Strings{"one", "", "two\r", "last"}));
        EXPECT_EQ(cut(Framing::lines, "one\n", piece), (Strings{"one"}));
        EXPECT_EQ(cut(Framing::lines, "", piece), Strings{});
        EXPECT_EQ(cut(Framing::lines, long_lines, piece),
                  (Strings{std::string(300, 'x'), std::string(299, 'y')}));
        EXPECT_EQ(cut(Framing::nul, nul, piece), (Strings{"a", "", "bc", "d"}));
        EXPECT_EQ(cut(Framing::raw, "a\nb\n", piece), (Strings{"a\nb\n"}));
        EXPECT_EQ(cut(Framing::raw, "", piece), (Strings{""}));
        EXPECT_EQ(cut(Framing::length, lengths, piece), (Strings{"a", "", "bcd"}));
    }
}

TEST(Splitter, ARecordOverTheLimitNamesItsNumber) {
    for (size_t piece : {1, 4, 100}) {
        auto lines = cut(Framing::lines, "ok\n12345\n123456\nmore\n", piece, 5);
        ASSERT_EQ(lines.size(), 3u);
        EXPECT_EQ(lines[0], "ok");
        EXPECT_EQ(lines[2].find("!line 3 is over the limit"), 0u) << lines[2];
        auto lengths = cut(Framing::length, std::string("\0\0\0\1a\0\0\0\6bcdefg", 15), piece, 5);
        ASSERT_EQ(lengths.size(), 2u);
        EXPECT_EQ(lengths[1].find("!record 2 is over the limit"), 0u) << lengths[1];
    }
    // A length that lies must not make it wait for, or keep, gigabytes.
    EXPECT_EQ(cut(Framing::length, std::string("\xff\xff\xff\xff", 4) + std::string(100, 'x'), 1, 5).size(),
              1u);
}

TEST(Splitter, ACutOffLengthIsAnError) {
    auto records = cut(Framing::length, std::string("\0\0\0\1a\0\0\0\2b", 10), 3);
    ASSERT_EQ(records.size(), 2u);
    EXPECT_NE(records[1].find("record 2 is cut off"), std::string::npos);
    EXPECT_EQ(cut(Framing::length, std::string("\0\0", 2), 3).size(), 1u);
}

// `append --format F < <(tail -n all --format F)` must give the same records.
TEST(Format, WhatTailWritesAppendReads) {
    std::vector<std::string> records{"", "a", std::string("b\0\xff c", 5), "\n", std::string(700, 'z')};
    for (Framing framing : {Framing::length, Framing::lines, Framing::nul}) {
        std::string text;
        std::vector<std::string> fitting;
        for (const std::string& record : records) {
            bool fits = framing == Framing::length ||
                        record.find(framing == Framing::nul ? '\0' : '\n') == std::string::npos;
            if (!fits) continue;
            fitting.push_back(record);
            write_record(text, framing, as_bytes(record), false);
        }
        EXPECT_EQ(cut(framing, text, 13), fitting);
    }
}

TEST(Format, Base64AsInTheRfc) {
    EXPECT_EQ(base64(as_bytes("")), "");
    EXPECT_EQ(base64(as_bytes("f")), "Zg==");
    EXPECT_EQ(base64(as_bytes("fo")), "Zm8=");
    EXPECT_EQ(base64(as_bytes("foobar")), "Zm9vYmFy");
}

TEST(Format, DataIsTextWhenItCanBe) {
    EXPECT_EQ(data_member(as_bytes("h\"i\n"), DataAs::automatic), "\"data\":\"h\\\"i\\n\"");
    EXPECT_EQ(data_member(as_bytes("\xff"), DataAs::automatic), "\"data_base64\":\"/w==\"");
    EXPECT_EQ(data_member(as_bytes("a"), DataAs::base64), "\"data_base64\":\"YQ==\"");
    for (const char* bad :
         {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf8\x88\x80\x80"})
        EXPECT_FALSE(is_utf8(bad)) << bad;
    for (const char* good : {"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf"})
        EXPECT_TRUE(is_utf8(good)) << good;
}

}  // namespace
}  // namespace raftd::cli
