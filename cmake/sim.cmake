# The simulator as a test: a short run of each profile, its speed, and the proof that planted bugs are found.
function(raftd_sim_test name label timeout)
    add_test(NAME sim.${name} COMMAND ${ARGN})
    set_tests_properties(sim.${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout})
endfunction()

# Multiples of real time; a sanitizer's build just runs.
set(speed_min 0)
if(NOT RAFTD_SANITIZE AND NOT RAFTD_COVERAGE)
    set(speed_min 150)
endif()
raftd_sim_test(swarm sim-short 300 raftsim --profile swarm --seeds 200)
raftd_sim_test(damage sim-short 300 raftsim --profile damage --seeds 200)
raftd_sim_test(quiet sim-short 120 raftsim --profile quiet --seeds 5)
raftd_sim_test(speed sim-short 300 raftsim --profile speed --time 300 --speed-min ${speed_min})
set_tests_properties(sim.speed PROPERTIES RUN_SERIAL TRUE)

function(raftd_planted_test bug profile)
    raftd_sim_test(planted.${bug} sim-planted 900
                   raftsim_planted --plant ${bug} --profile ${profile} --seeds 500 --find)
endfunction()
raftd_planted_test(vote_before_durable crash)
raftd_planted_test(commit_older_term crash)
raftd_planted_test(truncate_on_match network)
raftd_planted_test(count_unsynced_self crash)
raftd_planted_test(skip_directory_sync crash)
raftd_planted_test(commit_unverified network)
raftd_planted_test(read_by_old_round network)
raftd_planted_test(no_send_window disk)
