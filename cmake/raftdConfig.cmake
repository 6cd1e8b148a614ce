# find_package(raftd): raftd::client appends to a cluster and tails it; raftd::raft is the algorithm alone.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Boost 1.81)
find_dependency(Protobuf)
find_dependency(PkgConfig)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
include(${CMAKE_CURRENT_LIST_DIR}/raftdTargets.cmake)
