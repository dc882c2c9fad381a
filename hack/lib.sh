# Shared by the scripts in this folder, which source it. shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# step TEXT: what is being done, with the time since the script began.
step() { printf '\033[1m[%3ds] %s\033[0m\n' "$SECONDS" "$*"; }

# die TEXT: what is wrong and the mend.
die() { echo "error: $*" >&2; exit 1; }

# quietly LOG COMMAND...: runs a command whose output matters only if it fails, and tells every ten seconds that it is still at work.
quietly() {
  local log=$1 heart code=0
  shift
  while sleep 10 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do echo "  [${SECONDS}s] still at work: $*"; done &
  heart=$!
  "$@" >"$log" 2>&1 || code=$?
  kill "$heart" 2>/dev/null || true
  wait "$heart" 2>/dev/null || true
  [ "$code" = 0 ] || { tail -n 40 "$log" >&2; die "failed: $*"; }
}
