# Warnings, hardening, sanitizers and speed-ups of the build that all targets share. Presets set the options.
option(RAFTD_WERROR "Warnings are errors" OFF)
option(RAFTD_DCHECK "Checks that cost linear time" OFF)
option(RAFTD_HARDEN "Hardening that costs a few percent (releases)" OFF)
option(RAFTD_COVERAGE "Count executed lines (gcov)" OFF)
# Variables double the time that a build takes.
set(RAFTD_DEBUG_INFO 1 CACHE STRING "Debug information, as in -gN: 1 has lines and calls, 2 has variables too")
set(RAFTD_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=: address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
find_program(CCACHE ccache)
if(CCACHE)
    # Precompiled headers need these two sloppinesses and, of GCC, -fpch-preprocess.
    set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
find_program(LLD ld.lld)
if(LLD)
    add_link_options(-fuse-ld=lld)
endif()
add_link_options(-pie -Wl,-z,relro,-z,now)

# What every target is compiled with. Nothing of it but the include folder reaches those who use the installed library.
add_library(raftd_flags INTERFACE)
function(raftd_compile)
    foreach(option ${ARGN})
        target_compile_options(raftd_flags INTERFACE $<BUILD_INTERFACE:${option}>)
    endforeach()
endfunction()
function(raftd_define definition)
    target_compile_definitions(raftd_flags INTERFACE $<BUILD_INTERFACE:${definition}>)
endfunction()
target_include_directories(raftd_flags INTERFACE
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/generated>
    $<INSTALL_INTERFACE:include/raftd>)
raftd_compile(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor
              -g${RAFTD_DEBUG_INFO} -fno-omit-frame-pointer -fstack-protector-strong)
raftd_define(_GLIBCXX_ASSERTIONS)

if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # Array and string bounds: GCC 12 raises false alarms inside its own headers at -O2. Subobject linkage: it takes a
    # file that is compiled with others for a header.
    raftd_compile(-Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-subobject-linkage
                  -fpch-preprocess)
    # The compiler's own garbage collection costs a fifth of its time, and a file needs 0.7 GB at most without it.
    raftd_compile(--param=ggc-min-heapsize=700000)
else()
    raftd_compile(-Wthread-safety -Wno-unused-private-field -Wno-shadow)  # of shadowing GCC is the judge
endif()
if(RAFTD_WERROR)
    raftd_compile(-Werror)
endif()
if(RAFTD_DCHECK)
    raftd_define(RAFTD_DCHECK)
endif()
if(RAFTD_HARDEN)
    raftd_compile(-fstack-clash-protection -fcf-protection)
    raftd_define(_FORTIFY_SOURCE=2)
endif()
if(RAFTD_COVERAGE)
    raftd_compile(--coverage -fprofile-abs-path)  # who reads the counts looks for the sources by these paths
    add_link_options(--coverage)
else()
    raftd_compile(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
endif()
if(RAFTD_FUZZ)
    raftd_compile(-fsanitize=fuzzer-no-link)  # libFuzzer looks for inputs that reach new code, also in the libraries
endif()
if(RAFTD_SANITIZE)
    raftd_compile(-fsanitize=${RAFTD_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${RAFTD_SANITIZE})
    raftd_compile(-DRAFTD_SANITIZED)
    if(RAFTD_SANITIZE MATCHES thread)
        # Fences are invisible to the thread sanitizer, and GCC warns of each one; Asio can do without them.
        raftd_define(BOOST_ASIO_DISABLE_FENCED_BLOCK)
        raftd_compile(-Wno-tsan)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
        raftd_compile(-Wno-maybe-uninitialized)  # GCC 12 raises it inside <regex> once that is instrumented
    endif()
    # Instrumenting the large headers of Asio and CLI11 with optimization takes half a minute a file.
    file(GLOB heavy CONFIGURE_DEPENDS cli/*.cpp io/asio/*.cpp client/asio_runner.cpp)
    set_source_files_properties(${heavy} PROPERTIES COMPILE_OPTIONS -O0 SKIP_PRECOMPILE_HEADERS ON)
endif()
