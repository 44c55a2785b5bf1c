#!/usr/bin/env bash
# Errors from system calls at chosen calls, without a rebuild: strace injects them into the echo server while real clients
# compare contents. What must hold: no hang, no wrong byte, the server goes on, and says goodbye.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build -q --release --example echo
log=$(mktemp)
trap 'rm -f "$log"' EXIT

inject() { # CALLS WHAT
    printf '%-50s ' "$1:$2"
    python3 tests/faults/drive.py --tolerant --prefix "strace -f -qq -o $log -e trace=$1 -e inject=$1:$2 --" \
        target/release/examples/echo
    grep -qE 'INJECTED|DELAYED|SIGWINCH' "$log" || { echo "nothing was injected: the server does not make that call" >&2; exit 1; }
}

inject epoll_wait error=EINTR:when=2+3
inject epoll_wait delay_exit=2000:when=2+5
inject epoll_wait signal=SIGWINCH:when=2+2
# Only timed waits use this call, and this server has hardly any: nothing to inject is fine here.
(inject epoll_pwait2 error=EINTR:when=1+2) 2> /dev/null || true
inject accept4 error=EMFILE:when=3+7
inject accept4 error=ENFILE:when=3+7
inject accept4 error=ECONNABORTED:when=2+3
inject accept4 error=EINTR:when=2+3
inject epoll_ctl error=ENOMEM:when=6+5
inject epoll_ctl error=ENOSPC:when=6+5
inject recvfrom error=ECONNRESET:when=30+50
inject recvfrom error=EINTR:when=3+4
inject sendto error=EPIPE:when=20+40
inject sendto error=EINTR:when=3+4

# At construction: an error that says what is wrong, not a panic, and not a hang.
for call in epoll_create1 eventfd2; do
    if output=$(timeout 20 strace -f -qq -o "$log" -e trace=$call -e inject=$call:error=EMFILE \
        target/release/examples/echo 127.0.0.1:0 2>&1); then
        echo "$call: started without its base" >&2
        exit 1
    fi
    if grep -q 'index out of\|already borrowed\|unreachable' <<< "$output"; then
        echo "$call: $output" >&2
        exit 1
    fi
    printf '%-50s %s\n' "$call:error=EMFILE" "$(head -n 1 <<< "$output" | cut -c1-60)"
done
