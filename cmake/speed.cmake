# What makes the build quick: precompiled headers, shared by all targets of a kind. GCC refuses one that was made with
# other flags, so libraries (-fPIC), test programs (-fPIE) and io/asio (its own definitions) have one each. The preset
# clang builds without them, and so sees a file that doesn't include what it uses.
set(raftd_std_headers
    <algorithm> <array> <cerrno> <cstdint> <cstdio> <cstdlib> <cstring> <deque> <functional> <map> <memory> <optional>
    <set> <span> <string> <string_view> <unordered_map> <utility> <variant> <vector>)

# A target that exists for its precompiled header alone: raftd_headers(NAME [LINK LIBRARY...] HEADERS HEADER...)
function(raftd_headers name)
    cmake_parse_arguments(ARG "" "" "LINK;HEADERS" ${ARGN})
    set(empty ${CMAKE_BINARY_DIR}/generated/${name}.cpp)
    if(NOT EXISTS ${empty})
        file(WRITE ${empty} "")
    endif()
    add_library(${name} OBJECT EXCLUDE_FROM_ALL ${empty})
    target_link_libraries(${name} PRIVATE raftd_flags ${ARG_LINK})
    target_precompile_headers(${name} PRIVATE ${raftd_std_headers} ${ARG_HEADERS})
endfunction()
# Test programs are compiled as such, not as parts of libraries.
function(raftd_test_headers name)
    raftd_headers(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE GTest::gtest)
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIE)
endfunction()
# `control` has the generated messages besides: half a second a file.
raftd_headers(raftd_std_pch)
raftd_headers(raftd_control_pch LINK raftd_pb HEADERS <proto/control.pb.h>)
if(RAFTD_TESTS)
    raftd_test_headers(raftd_gtest_pch HEADERS <gtest/gtest.h>)
    raftd_test_headers(raftd_gtest_control_pch LINK raftd_pb HEADERS <gtest/gtest.h> <proto/control.pb.h>)
endif()

# Several files of a folder are compiled as one: half of a file's cost is the templates that its neighbours use too. So
# a name at file scope means one thing in a folder (lint `names`). Not those of which a program has a second version.
option(RAFTD_UNITY "Compile several files of a folder as one" ON)
set(RAFTD_PLANTED_SOURCES
    daemon/append.cpp daemon/compaction.cpp daemon/log_clock.cpp daemon/member_changes.cpp daemon/producer_table.cpp
    daemon/producers.cpp raft/election.cpp raft/log.cpp raft/membership.cpp raft/reads.cpp raft/replication.cpp
    wal/roll.cpp)
set_source_files_properties(${RAFTD_PLANTED_SOURCES} base/features.cpp io/asio/asio_impl.cpp
                            PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
function(raftd_together target)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${RAFTD_UNITY} UNITY_BUILD_BATCH_SIZE ${RAFTD_UNITY_FILES})
endfunction()
set(RAFTD_UNITY_FILES 8 CACHE STRING "How many; 0 is all of a folder")

# The option parser and the JSON parser are dear to optimise and run once; checked builds with _FORTIFY_SOURCE need -O1.
set(once -O0)
if(RAFTD_HARDEN)
    set(once -O1)
endif()
set_source_files_properties(snapshot/addresses.cpp snapshot/manifest.cpp snapshot/snapshot_manifest.cpp
                            PROPERTIES COMPILE_OPTIONS ${once} SKIP_PRECOMPILE_HEADERS ON)
raftd_headers(raftd_line_pch LINK raftd_pb CLI11::CLI11 HEADERS <CLI/CLI.hpp>)
target_compile_options(raftd_line_pch PRIVATE ${once})
