# tests/e2e/*_test.py: clusters of real processes on loopback. Each has the machine for itself.
if(NOT TARGET raftd OR NOT TARGET raftctl)
    return()
endif()
file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/e2e/*_test.py)
foreach(script ${scripts})
    get_filename_component(name ${script} NAME_WE)
    string(REGEX REPLACE "_test$" "" name ${name})
    add_test(NAME e2e.${name} COMMAND ${Python3_EXECUTABLE} ${script})
    set_tests_properties(e2e.${name} PROPERTIES LABELS e2e RUN_SERIAL ON TIMEOUT 300
        ENVIRONMENT "RAFTD_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()
