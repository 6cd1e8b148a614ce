# Warnings, hardening and speed-ups of the build that all targets share.
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(LLD ld.lld)
if(LLD)
    add_link_options(-fuse-ld=lld)
endif()

# Array and string bounds: GCC 12 raises false alarms inside its own headers at -O2.
add_library(raftd_flags INTERFACE)
target_compile_options(raftd_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Wnon-virtual-dtor
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
    -fno-omit-frame-pointer -fstack-protector-strong -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_compile_definitions(raftd_flags INTERFACE _GLIBCXX_ASSERTIONS)
target_include_directories(raftd_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
option(RAFTD_WERROR "Warnings are errors" OFF)
if(RAFTD_WERROR)
    target_compile_options(raftd_flags INTERFACE -Werror)
endif()
option(RAFTD_DCHECK "Checks that cost linear time" OFF)
if(RAFTD_DCHECK)
    target_compile_definitions(raftd_flags INTERFACE RAFTD_DCHECK)
endif()
add_link_options(-pie -Wl,-z,relro,-z,now)
