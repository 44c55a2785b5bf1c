#!/usr/bin/env bash
# Errors from system calls at chosen calls, without a rebuild: strace injects them into the echo servers while real clients
# compare contents. What must hold: no hang, no wrong byte, no connection broken but the one concerned, and the server goes on and
# says goodbye.
#
#     tests/faults/inject.sh [DIRECTORY OF THE EXAMPLES]         target/release/examples, built if none is given
set -euo pipefail
cd "$(dirname "$0")/../.."
examples=${1:-}
if [[ -z $examples ]]; then
    cargo build -q --release --example echo --example reactor_echo --example timers
    examples=${CARGO_TARGET_DIR:-target}/release/examples
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT

strace=(strace -f -qq -o "$log")

# Something was done to the calls: a name that the program never calls would test nothing.
injected() {
    local count
    count=$(grep -cE '\((INJECTED|DELAYED)\)|--- SIGWINCH' "$log" || true)
    ((count > 0)) || { echo "nothing was injected: the program does not make that call" >&2; exit 1; }
    printf '%-10s %-44s %5d times: ' "$1" "$2" "$count"
}

# Lines begin with `breaks` when the error is one connection's end, and `keeps` when nobody may notice.
keeps() { drive "$1" "$2" "$3"; }
breaks() { drive "$1" "$2" "$3" --may-break "$log"; }

drive() { # BACKEND CALL FAULT [OPTION ...]
    local backend=$1 call=$2 fault=$3 answer
    shift 3
    : > "$log"
    answer=$(LEVENT_BACKEND=$backend python3 tests/faults/drive.py "$@" \
        --prefix "${strace[*]} -e trace=$call -e inject=$call:$fault --" "$examples/$server") || exit 1
    injected "$backend" "$call:$fault"
    echo "$answer"
}

for server in echo reactor_echo; do
    echo "$server"
    keeps epoll epoll_wait error=EINTR:when=2+3
    keeps epoll epoll_wait delay_exit=2000:when=2+5
    keeps epoll epoll_wait signal=SIGWINCH:when=2+2
    # The connection stays in the backlog: it is late, and lives.
    keeps epoll accept4 error=EMFILE:when=3+7
    keeps epoll accept4 error=ENFILE:when=3+7
    keeps epoll accept4 error=ENOBUFS:when=3+7
    keeps epoll accept4 error=ECONNABORTED:when=2+3
    keeps epoll accept4 error=EINTR:when=2+3
    # The first registrations are the server's own; then each is a connection's.
    breaks epoll epoll_ctl error=ENOMEM:when=6+5
    breaks epoll epoll_ctl error=ENOSPC:when=6+5
    breaks epoll recvfrom error=ECONNRESET:when=30+50
    breaks epoll sendto error=EPIPE:when=20+40
    breaks epoll sendto error=ENOBUFS:when=20+40
    keeps epoll sendto delay_enter=2000:when=2+9
    keeps poll poll,ppoll error=EINTR:when=3+3
    keeps poll poll,ppoll signal=SIGWINCH:when=3+3
    keeps poll accept4 error=EMFILE:when=3+7
    keeps poll sendto error=EAGAIN:when=2+2
    keeps poll recvfrom error=EAGAIN:when=3+4
    keeps select select,pselect6 error=EINTR:when=2+3
    keeps select accept4 error=ECONNABORTED:when=2+3
    keeps select sendto error=EAGAIN:when=2+2
    # No epoll at all: another backend serves.
    keeps "" epoll_create1 error=ENOSYS
done

# An interrupted transfer is tried again by our streams. `reactor_echo` has no streams, and takes every error for the connection's end.
server=echo
keeps epoll recvfrom error=EINTR:when=3+4
keeps epoll sendto error=EINTR:when=3+4

# Waits until a time: the kernel's finer call, interrupted, and refused (old kernels; filters of containers). The program checks by itself
# that nothing is early.
for fault in error=EINTR:when=1+2 error=ENOSYS error=EPERM delay_exit=2000:when=1+5 signal=SIGWINCH:when=1+2; do
    : > "$log"
    answer=$(LEVENT_BACKEND=epoll timeout -k 5 30 "${strace[@]}" -e trace=epoll_pwait2 -e inject=epoll_pwait2:"$fault" \
        -- "$examples/timers" < /dev/null) || { echo "timers under epoll_pwait2:$fault: failed or hung" >&2; exit 1; }
    injected epoll "epoll_pwait2:$fault"
    grep '10,000 sleeps; none early' <<< "$answer"
done

# At construction: an error that says what is wrong, not a panic, and not a hang.
for call in eventfd2:EMFILE eventfd2:ENFILE epoll_ctl:ENOMEM epoll_ctl:ENOSPC socket:EMFILE listen:EADDRINUSE; do
    : > "$log"
    code=0
    output=$(LEVENT_BACKEND=epoll timeout -k 5 20 "${strace[@]}" -e trace="${call%:*}" -e inject="${call%:*}:error=${call#*:}" \
        -- "$examples/echo" 127.0.0.1:0 2>&1 < /dev/null) || code=$?
    injected start "$call"
    # 1 is what main's error ends with; 101 is a panic, 124 a hang.
    if ((code != 1)); then
        printf 'ended with %d: %s\n' "$code" "$output" >&2
        exit 1
    fi
    head -n 1 <<< "$output"
done

# Few descriptors, for real: some connections wait in the backlog until others end.
for server in echo reactor_echo; do
    answer=$(python3 tests/faults/drive.py --limit 9 "$examples/$server") || exit 1
    printf '%-12s %-53s: %s\n' "$server" "at most 9 descriptors" "$answer"
done
