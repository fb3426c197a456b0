# Helpers for the scripts in this folder; sourced, not run.
# shellcheck shell=bash

# Messages and tool output are compared with English patterns in places.
export LC_ALL=C.UTF-8

repo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
logs_dir=$repo_root/build/logs

# Progress goes to stderr, so that a script's stdout is its result alone.
say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$(basename "$0"): $*"
  exit 1
}

# as_root COMMAND...: runs it as root, through sudo where the caller is somebody else.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "$(basename "$0"): needs root: run it as root or install sudo (wanted: $*)"
    return 1
  fi
}

# quietly NAME COMMAND...: output goes to build/logs/NAME.log and is shown when COMMAND fails.
# Returns COMMAND's exit code.
quietly() {
  local log=$logs_dir/$1.log code=0
  shift
  mkdir -p "$logs_dir"
  "$@" >"$log" 2>&1 </dev/null || code=$?
  if [ "$code" -ne 0 ]; then
    cat "$log" >&2
    say "failed with exit code $code: $*"
    say "log: $log"
  fi
  return "$code"
}

# option_value OPTION [VALUE]: prints VALUE, or stops with a message when it is missing.
option_value() {
  if [ -z "${2:-}" ]; then
    fail "$1 wants a value"
  fi
  printf '%s\n' "$2"
}
