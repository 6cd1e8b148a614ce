# tests/unit/<folder>_*_test.cpp: one program a layer, so that a change rebuilds little.
function(raftd_unit_tests layer)
    cmake_parse_arguments(ARG "" "" "LINK;SUPPORT" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${layer}_*_test.cpp)
    if(NOT sources)
        return()
    endif()
    list(TRANSFORM ARG_SUPPORT PREPEND ${CMAKE_SOURCE_DIR}/tests/support/)
    add_executable(test_${layer} ${sources} ${ARG_SUPPORT})
    target_link_libraries(test_${layer} PRIVATE ${ARG_LINK} GTest::gtest_main)
    target_precompile_headers(test_${layer} REUSE_FROM raftd_gtest_pch)
    target_compile_definitions(test_${layer} PRIVATE RAFTD_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME unit.${layer} COMMAND test_${layer} --gtest_brief=1)
    set_tests_properties(unit.${layer} PROPERTIES LABELS unit)
endfunction()

raftd_unit_tests(base LINK raftd_base)
raftd_unit_tests(proto LINK raftd_proto)
add_library(raftd_raft_rig STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/support/raft_cluster.cpp
                                            ${CMAKE_SOURCE_DIR}/tests/support/raft_truth.cpp)
target_link_libraries(raftd_raft_rig PUBLIC raft)
raftd_unit_tests(raft LINK raft raftd_raft_rig SUPPORT raft_script.cpp)
raftd_unit_tests(conf LINK raftd_conf)
raftd_unit_tests(snapshot LINK raftd_snapshot raftd_sim leveldb::leveldb PkgConfig::ZSTD SUPPORT fault_env.cpp)
raftd_unit_tests(wal LINK raftd_wal raftd_sim)
raftd_unit_tests(daemon LINK raftd_daemon raftd_sim SUPPORT stage.cpp)
add_library(raftd_fake_cluster STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/support/fake_cluster.cpp
            ${CMAKE_SOURCE_DIR}/tests/support/fake_log.cpp)
target_link_libraries(raftd_fake_cluster PUBLIC raftd_client)
raftd_unit_tests(client LINK raftd_client raftd_fake_cluster)
raftd_unit_tests(sim LINK raftd_sim)
raftd_unit_tests(asio LINK raftd_asio)
raftd_unit_tests(cli LINK raftd_cli raftd_sim)

# tests/crash: power cuts at every disk call of scripted work.
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/crash/*.cpp)
list(APPEND sources ${CMAKE_SOURCE_DIR}/tests/support/sim_env.cpp)
add_executable(test_crash ${sources})
target_link_libraries(test_crash PRIVATE raftd_cli raftd_sim leveldb::leveldb GTest::gtest)
target_precompile_headers(test_crash REUSE_FROM raftd_gtest_pch)
add_test(NAME unit.crash COMMAND test_crash --disks-min 2000 --gtest_brief=1 --gtest_filter=-*Slow*)
set_tests_properties(unit.crash PROPERTIES LABELS unit)
add_test(NAME sim.crash COMMAND test_crash --disks 3000 --disks-min 20000 --gtest_brief=1)
set_tests_properties(sim.crash PROPERTIES LABELS sim-long TIMEOUT 600)

# tests/model: everything that can happen to three cores, breadth-first within bounds.
set(model ${CMAKE_SOURCE_DIR}/tests/model)
add_library(raftd_raft_model STATIC EXCLUDE_FROM_ALL ${model}/machine.cpp ${model}/world.cpp ${model}/explore.cpp
                                                     ${model}/profiles.cpp)
target_link_libraries(raftd_raft_model PUBLIC raft)
target_compile_options(raftd_raft_model PRIVATE -O2)
add_executable(raft_model ${model}/main.cpp)
target_link_libraries(raft_model PRIVATE raftd_raft_model)
add_test(NAME scenario.raft_model COMMAND raft_model --states 250000)
set_tests_properties(scenario.raft_model PROPERTIES LABELS scenario)
add_executable(test_raft_model_planted ${model}/planted_test.cpp)
target_compile_definitions(test_raft_model_planted PRIVATE RAFTD_PLANTED)
target_link_libraries(test_raft_model_planted PRIVATE raftd_planted raftd_raft_model raftd_wal GTest::gtest_main)
target_precompile_headers(test_raft_model_planted REUSE_FROM raftd_gtest_pch)
add_test(NAME unit.raft_model_planted COMMAND test_raft_model_planted --gtest_brief=1)
set_tests_properties(unit.raft_model_planted PROPERTIES LABELS unit)

# tests/bench: the floor (replication without Raft) and the load generator that measures both; scripts/bench runs them.
add_library(raftd_load STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/load.cpp)
target_link_libraries(raftd_load PUBLIC raftd_proto Threads::Threads)
foreach(program floor load)
    set(source ${CMAKE_SOURCE_DIR}/tests/bench/${program}.cpp)
    if(program STREQUAL load)
        set(source ${CMAKE_SOURCE_DIR}/tests/bench/load_main.cpp)
    endif()
    add_executable(bench_${program} EXCLUDE_FROM_ALL ${source})
    target_link_libraries(bench_${program} PRIVATE raftd_load)
endforeach()

# Makes the log that scripts/bench-restart measures a start on.
add_executable(bench_restart_log EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/restart_log.cpp)
target_link_libraries(bench_restart_log PRIVATE raftd_daemon raftd_asio)

# Golden scripts over bare cores: tests/scenarios/raft/README.md.
add_test(NAME scenario.raft COMMAND test_raft --gtest_brief=1 --gtest_filter=*RaftScript*)
set_tests_properties(scenario.raft PROPERTIES LABELS scenario)

# Bugs planted in raft/ (cmake/layers.cmake), to see that its random runs notice them.
add_executable(test_raft_planted ${CMAKE_SOURCE_DIR}/tests/support/raft_planted_test.cpp)
target_compile_definitions(test_raft_planted PRIVATE RAFTD_PLANTED)
target_link_libraries(test_raft_planted PRIVATE raftd_planted raftd_raft_rig raftd_wal GTest::gtest_main)
target_precompile_headers(test_raft_planted REUSE_FROM raftd_gtest_pch)
add_test(NAME unit.raft_planted COMMAND test_raft_planted --gtest_brief=1)
set_tests_properties(unit.raft_planted PROPERTIES LABELS unit)
