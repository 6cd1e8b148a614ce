# Sourced by the other scripts: the tree's root as working folder, and the few things that they share.
# No script needs a terminal, a particular working folder or an environment variable.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# The comment at the head of a script is its help.
help() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }
usage_error() { say "${0##*/}: $*"; say "hint: scripts/${0##*/} --help"; exit 2; }

# Seconds since the epoch with milliseconds, and the difference to now in seconds with one decimal.
now() { date +%s.%3N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }

# Prints a step's name, runs it, prints how long it took.
step() {
    local name=$1 begin
    shift
    begin=$(now)
    say "== $name"
    "$@"
    say "   $name: $(since "$begin") s"
}

# The build folder of a preset.
folder_of() { echo "$root/build-$1"; }
