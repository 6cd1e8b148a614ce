# One static library a folder; who may use whom is the table of scripts/lint. A folder's sources are all its
# *.cpp files, but for those named here. HEADERS: whose precompiled header it takes (cmake/speed.cmake).
function(raftd_layer name folder)
    cmake_parse_arguments(ARG "OWN_HEADERS" "HEADERS" "LINK;EXCLUDE" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
    foreach(excluded ${ARG_EXCLUDE})
        list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/${folder}/${excluded})
    endforeach()
    if(NOT sources)
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE raftd_flags ${ARG_LINK})
        return()
    endif()
    add_library(${name} STATIC ${sources})
    raftd_together(${name})
    target_link_libraries(${name} PUBLIC raftd_flags ${ARG_LINK})
    if(ARG_HEADERS)
        target_precompile_headers(${name} REUSE_FROM ${ARG_HEADERS})
    elseif(NOT ARG_OWN_HEADERS)
        target_precompile_headers(${name} REUSE_FROM raftd_std_pch)
    endif()
endfunction()

raftd_layer(raftd_base base LINK Boost::headers PkgConfig::XXHASH)
raftd_layer(raft raft LINK raftd_base)
raftd_layer(raftd_io io LINK raftd_base)
raftd_layer(raftd_wal wal LINK raftd_io)
raftd_layer(raftd_snapshot snapshot LINK raftd_io nlohmann_json::nlohmann_json OpenSSL::Crypto)
target_link_libraries(raftd_snapshot PRIVATE leveldb::leveldb PkgConfig::ZSTD)
raftd_layer(raftd_conf conf LINK raftd_base PkgConfig::TOML)

add_library(raftd_pb STATIC ${CMAKE_SOURCE_DIR}/proto/control.proto)
target_link_libraries(raftd_pb PUBLIC protobuf::libprotobuf-lite)
protobuf_generate(TARGET raftd_pb LANGUAGE cpp IMPORT_DIRS ${CMAKE_SOURCE_DIR}
                  PROTOC_OUT_DIR ${CMAKE_BINARY_DIR}/generated)
target_compile_options(raftd_pb PRIVATE -w)
target_include_directories(raftd_pb SYSTEM PUBLIC $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/generated>)
raftd_layer(raftd_proto proto LINK raftd_base raftd_pb)

raftd_layer(raftd_daemon daemon EXCLUDE main.cpp HEADERS raftd_control_pch
            LINK raft raftd_wal raftd_snapshot raftd_proto raftd_conf raftd_io)
raftd_layer(raftd_client client EXCLUDE asio_runner.cpp HEADERS raftd_control_pch LINK raftd_proto raftd_io)
raftd_layer(raftd_asio io/asio OWN_HEADERS LINK raftd_io raftd_proto Boost::headers Threads::Threads)
target_compile_definitions(raftd_asio PRIVATE BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
if(NOT RAFTD_SANITIZE)  # heavy files are then compiled with other options than the header would be
    target_precompile_headers(raftd_asio PRIVATE ${raftd_std_headers}
        <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp> <boost/asio/posix/stream_descriptor.hpp>
        <boost/asio/signal_set.hpp> <boost/asio/steady_timer.hpp>)
    # The one that compiles Asio sees more of it than the declarations.
    set_source_files_properties(io/asio/asio_impl.cpp PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endif()
# The client library over the real network.
if(EXISTS ${CMAKE_SOURCE_DIR}/io/asio/loop.h)
    add_library(raftd_client_asio STATIC ${CMAKE_SOURCE_DIR}/client/asio_runner.cpp)
    target_link_libraries(raftd_client_asio PUBLIC raftd_client raftd_asio)
else()
    add_library(raftd_client_asio ALIAS raftd_client)
endif()
raftd_layer(raftd_sim sim EXCLUDE main.cpp planted_main.cpp HEADERS raftd_control_pch LINK raftd_daemon raftd_client)
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} rev-parse --short HEAD
                OUTPUT_VARIABLE RAFTD_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set_source_files_properties(sim/commands.cpp PROPERTIES COMPILE_DEFINITIONS RAFTD_REVISION="${RAFTD_REVISION}")

function(raftd_program name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    foreach(source ${ARG_SOURCES})
        if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${source})
            return()
        endif()
    endforeach()
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ${ARG_LINK})
endfunction()
# What sees the option parser has a library of its own, for its own precompiled header.
file(GLOB line CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/cli ${CMAKE_SOURCE_DIR}/cli/declare_*.cpp)
list(APPEND line completion.cpp)
raftd_layer(raftd_cli cli EXCLUDE main.cpp ${line} HEADERS raftd_control_pch
            LINK raftd_client_asio raftd_conf raftd_snapshot raftd_wal raftd_asio raftd_proto)
list(TRANSFORM line PREPEND cli/)
add_library(raftd_line STATIC ${line})
raftd_together(raftd_line)
target_link_libraries(raftd_line PUBLIC raftd_cli CLI11::CLI11)
target_compile_options(raftd_line PRIVATE ${once})
target_precompile_headers(raftd_line REUSE_FROM raftd_line_pch)
raftd_program(raftctl SOURCES cli/main.cpp LINK raftd_line)
target_compile_options(raftctl PRIVATE ${once})
set_source_files_properties(cli/help.cpp PROPERTIES COMPILE_DEFINITIONS "RAFTD_VERSION=\"${PROJECT_VERSION}\"")
raftd_program(raftd SOURCES daemon/main.cpp LINK raftd_daemon raftd_asio)
raftd_program(raftsim SOURCES sim/main.cpp LINK raftd_sim)

# The same program over objects with bugs planted in them (base/planted.h): exactly the files that ask planted(...),
# which a lint compares. As objects they come before the libraries, whose own objects of these files then have nothing
# left to give.
if(RAFTD_TESTS)
    add_library(raftd_planted OBJECT ${RAFTD_PLANTED_SOURCES})
    target_compile_definitions(raftd_planted PRIVATE RAFTD_PLANTED)
    target_link_libraries(raftd_planted PRIVATE raftd_daemon)
    target_precompile_headers(raftd_planted REUSE_FROM raftd_control_pch)
    raftd_program(raftsim_planted SOURCES sim/planted_main.cpp LINK raftd_planted raftd_sim)
    target_compile_definitions(raftsim_planted PRIVATE RAFTD_PLANTED)
endif()
if(TARGET raftd)
    target_link_libraries(raftd PRIVATE raftd_conf)
    target_compile_definitions(raftd PRIVATE RAFTD_VERSION="${PROJECT_VERSION}")
endif()

# The programs as of feature level 1, from the same objects but one: for tests of upgrades, never installed.
if(RAFTD_TESTS AND TARGET raftd AND TARGET raftctl)
    add_library(raftd_old_features OBJECT base/features.cpp)
    target_compile_definitions(raftd_old_features PRIVATE RAFTD_FEATURE_LEVEL=1)
    target_link_libraries(raftd_old_features PRIVATE raftd_base)
    foreach(program raftd raftctl)
        add_executable(${program}_old $<TARGET_OBJECTS:${program}> $<TARGET_OBJECTS:raftd_old_features>)
        target_link_libraries(${program}_old PRIVATE $<TARGET_PROPERTY:${program},LINK_LIBRARIES>)
        set_target_properties(${program}_old PROPERTIES OUTPUT_NAME ${program}
                              RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/old)
    endforeach()
endif()
