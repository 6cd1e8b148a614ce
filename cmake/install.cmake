# What `cmake --install` lays down: the programs, and the libraries raftd::client and raftd::raft with their headers.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

foreach(program raftd raftctl raftsim)
    if(TARGET ${program})
        install(TARGETS ${program} RUNTIME)
    endif()
endforeach()
install(FILES README.md LICENSE CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/raftd)
foreach(part raftd_flags raftd_base raft raftd_io raftd_pb raftd_proto raftd_asio raftd_client raftd_client_asio)
    string(REGEX REPLACE "^raftd_" "" exported ${part})
    if(part STREQUAL raftd_client)
        set(exported session)  # the library to link is the one with a network below it
    elseif(part STREQUAL raftd_client_asio)
        set(exported client)
    endif()
    set_target_properties(${part} PROPERTIES EXPORT_NAME ${exported})
    install(TARGETS ${part} EXPORT raftdTargets ARCHIVE)
endforeach()
install(DIRECTORY base raft io proto client DESTINATION include/raftd FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${CMAKE_BINARY_DIR}/generated/proto DESTINATION include/raftd FILES_MATCHING PATTERN "*.h")
install(EXPORT raftdTargets NAMESPACE raftd:: DESTINATION ${package})
write_basic_package_version_file(raftdConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/raftdConfig.cmake ${CMAKE_BINARY_DIR}/raftdConfigVersion.cmake DESTINATION ${package})
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Installed into a folder of its own, then the examples are built against that and nothing else.
if(RAFTD_TESTS AND NOT RAFTD_SANITIZE AND NOT RAFTD_COVERAGE)
    set(prefix ${CMAKE_BINARY_DIR}/installed)
    add_test(NAME install.tree
        COMMAND ${CMAKE_COMMAND} --install ${CMAKE_BINARY_DIR} --prefix ${prefix})
    add_test(NAME install.examples
        COMMAND ${CMAKE_CTEST_COMMAND} --build-and-test ${CMAKE_SOURCE_DIR}/examples ${CMAKE_BINARY_DIR}/examples
            --build-generator Ninja --build-noclean --build-options -DCMAKE_PREFIX_PATH=${prefix}
            -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
            "-DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}"
            --test-command ${CMAKE_BINARY_DIR}/examples/elect)
    set_tests_properties(install.tree PROPERTIES LABELS install FIXTURES_SETUP installed)
    set_tests_properties(install.examples PROPERTIES LABELS install FIXTURES_REQUIRED installed FIXTURES_SETUP examples)
    add_test(NAME install.election
        COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tests/install/election_test.py
            ${CMAKE_BINARY_DIR}/examples/election)
    set_tests_properties(install.election PROPERTIES LABELS install FIXTURES_REQUIRED examples TIMEOUT 120)
    # Its servers are programs of examples/.
    if(TEST e2e.kv)
        set_tests_properties(e2e.kv PROPERTIES FIXTURES_REQUIRED examples)
    endif()
elseif(TEST e2e.kv)
    set_tests_properties(e2e.kv PROPERTIES DISABLED ON)  # NOT TESTED: e2e.kv (the examples aren't built here)
endif()
