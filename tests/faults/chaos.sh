#!/usr/bin/env bash
# The socket tests once more while calls go wrong (see chaos.c): ten seeds on every backend.
#
#     tests/faults/chaos.sh [SEED ...]         CHAOS_PCT=20, BACKENDS="epoll poll select"
#
# On epoll no EAGAIN is made up, since no edge follows it, and a short transfer is not taken for an emptied socket.
# What must hold: every test passes, none hangs, and there were faults at all.
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=("$@")
((${#seeds[@]})) || seeds=({1..10})
export CHAOS_PCT=${CHAOS_PCT:-20}

# The program of one integration test, as `cargo test --workspace --all-features` has built it: the same build, so nothing is built twice.
program() { # MANIFEST
    cargo test --workspace --all-features --test it --no-run --message-format=json 2> "$work/cargo" | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "it" and message["manifest_path"] == sys.argv[1]:
        print(message["executable"])
' "$1" || { cat "$work/cargo" >&2; return 1; }
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O1 -Wall -Wextra -Werror -shared -fPIC -o "$work/chaos.so" tests/faults/chaos.c -ldl
root=$(program "$PWD/Cargo.toml")
io=$(program "$PWD/io/Cargo.toml")

# These rely on what one transfer moves, or on what the first poll finds: a fault is an answer to that, and no failure. The last one
# drops a reader that has read a byte already if the write beside it had to wait.
single=(into_inner_gives_a_nonblocking_descriptor_back end_after_data_in_one_batch vectored exclusive_operations
    first_poll_delivers_what_is_there both_directions_at_once reused_descriptor_numbers_are_new_sockets)

total=0
run() { # NAME PROGRAM FILTER...
    local name=$1 program=$2 faults
    shift 2
    if ! timeout -k 5 300 env LD_PRELOAD="$work/chaos.so" "$program" "$@" > "$work/log" 2>&1 < /dev/null; then
        cat "$work/log" >&2
        printf '\nfailed or hung: %s, CHAOS_SEED=%s on %s; again with BACKENDS=%s %s %s\n' \
            "$name" "$CHAOS_SEED" "$LEVENT_BACKEND" "$LEVENT_BACKEND" "$0" "$CHAOS_SEED" >&2
        exit 1
    fi
    # A filter that matches nothing passes too.
    if ! grep -qE '^test result: ok\. [1-9]' "$work/log"; then
        echo "$name: no test ran" >&2
        exit 1
    fi
    # The tests' own child processes report as well.
    faults=$(awk '/^chaos: injected / { n += $3 } END { print n + 0 }' "$work/log")
    if ((faults == 0)); then
        echo "$name: nothing was injected; does the library know the calls that are made now? (strace -c tells)" >&2
        exit 1
    fi
    printf '%-8s %-7s seed %-4s %7d faults\n' "$name" "$LEVENT_BACKEND" "$CHAOS_SEED" "$faults"
    total=$((total + faults))
}

for backend in ${BACKENDS:-epoll poll select}; do
    export LEVENT_BACKEND=$backend CHAOS_EAGAIN=1 LEVENT_TRUST_SHORT=1
    [[ $backend == epoll ]] && export CHAOS_EAGAIN=0 LEVENT_TRUST_SHORT=0
    for seed in "${seeds[@]}"; do
        export CHAOS_SEED=$seed
        CHAOS_REFUSE=1 run chaos "$root" chaos::
        # These tests take an error of accept for a failure, as a server need not.
        CHAOS_REFUSE=0 run sockets "$root" sockets:: "${single[@]/#/--skip=}"
        CHAOS_REFUSE=0 run io "$io" behaviour:: "${single[@]/#/--skip=}"
    done
done
echo "$total faults in all"
