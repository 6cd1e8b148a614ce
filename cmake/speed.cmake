# What makes the build quick: precompiled headers, shared by all targets of a kind. GCC refuses one that was made with
# other flags, so libraries (-fPIC), test programs (-fPIE) and io/asio (its own definitions) have one each. The preset
# clang builds without them, and so sees a file that doesn't include what it uses.
set(raftd_std_headers
    <algorithm> <array> <cerrno> <cstdint> <cstdio> <cstdlib> <cstring> <deque> <functional> <map> <memory> <optional>
    <set> <span> <string> <string_view> <unordered_map> <utility> <variant> <vector>)

# A target that exists for its precompiled header alone.
function(raftd_headers name)
    set(empty ${CMAKE_BINARY_DIR}/generated/${name}.cpp)
    if(NOT EXISTS ${empty})
        file(WRITE ${empty} "")
    endif()
    add_library(${name} OBJECT EXCLUDE_FROM_ALL ${empty})
    target_link_libraries(${name} PRIVATE raftd_flags)
    target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()
raftd_headers(raftd_std_pch ${raftd_std_headers})
if(RAFTD_TESTS)
    raftd_headers(raftd_gtest_pch ${raftd_std_headers} <gtest/gtest.h>)
    target_link_libraries(raftd_gtest_pch PRIVATE GTest::gtest)
    set_target_properties(raftd_gtest_pch PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(raftd_gtest_pch PRIVATE -fPIE)
endif()

# The option parser and the JSON parser are dear to optimise and run once; checked builds with _FORTIFY_SOURCE need -O1.
set(once -O0)
if(RAFTD_HARDEN)
    set(once -O1)
endif()
set_source_files_properties(cli/main.cpp PROPERTIES COMPILE_OPTIONS ${once} SKIP_PRECOMPILE_HEADERS ON)
