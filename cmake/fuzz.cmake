# Each decoder of foreign bytes has a target: tests/fuzz/NAME_fuzz.cpp. Under libFuzzer with RAFTD_FUZZ; in every
# other build a replay of the corpus with damage at every byte, as a test.
set(RAFTD_FUZZ_BYTES_MAX 4096)
function(raftd_fuzz name)
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    add_executable(fuzz_${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/${name}_fuzz.cpp)
    target_link_libraries(fuzz_${name} PRIVATE ${ARGN})
    if(RAFTD_FUZZ)
        target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
        add_test(NAME fuzz.${name} COMMAND fuzz_${name} -runs=20000 -max_len=${RAFTD_FUZZ_BYTES_MAX}
            -rss_limit_mb=512 ${corpus})
    else()
        target_sources(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
        add_test(NAME fuzz.${name} COMMAND fuzz_${name} ${corpus})
    endif()
    set_tests_properties(fuzz.${name} PROPERTIES LABELS unit)
endfunction()

raftd_fuzz(frame raftd_proto)
raftd_fuzz(entries raftd_base)
raftd_fuzz(settings raftd_conf)
raftd_fuzz(producer raftd_daemon)
raftd_fuzz(state raftd_daemon)
raftd_fuzz(retention raftd_daemon)
raftd_fuzz(archive raftd_snapshot)
raftd_fuzz(snapshot raftd_snapshot)
set(RAFTD_FUZZ_BYTES_MAX 16384)  # of a tar most is zeros
raftd_fuzz(save raftd_snapshot)
