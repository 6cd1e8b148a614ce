# What a compiler doesn't check: tests/lint/lint.py says which rules and why.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(lint ${CMAKE_SOURCE_DIR}/tests/lint/lint.py)
add_test(NAME lint.tree COMMAND ${Python3_EXECUTABLE} ${lint} --root ${CMAKE_SOURCE_DIR})
add_test(NAME lint.self_test COMMAND ${Python3_EXECUTABLE} ${lint} --self-test)
set_tests_properties(lint.tree lint.self_test PROPERTIES LABELS lint)

# A sanitizer's library or a coverage counter would count as asking the system.
get_target_property(raft_type raft TYPE)
if(raft_type STREQUAL STATIC_LIBRARY AND NOT RAFTD_SANITIZE AND NOT RAFTD_COVERAGE)
    add_test(NAME lint.purity COMMAND ${Python3_EXECUTABLE} ${lint} --purity $<TARGET_FILE:raft>)
    set_tests_properties(lint.purity PROPERTIES LABELS lint)
endif()
