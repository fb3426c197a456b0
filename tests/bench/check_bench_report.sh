#!/usr/bin/env bash
# A result of midge bench becomes a row of a table and, where matplotlib is installed, a page that
# loads nothing.
# usage: check_bench_report.sh PYTHON REPORT MIDGE WORK
set -euo pipefail
python=$1 report=$2 midge=$3 work=$4

fail() {
  printf 'check_bench_report.sh: %s\n' "$*" >&2
  exit 1
}

rm -rf "$work"
mkdir -p "$work"
"$midge" bench tiny-phi --rounds 1 --depths 0 --prompts 16 --only decode,prompt,rows --json \
  > "$work/board|1.json"
printf '# Results\n\n<!-- results -->\nold\n' > "$work/index.md"
"$python" "$report" "$work/board|1.json" --index "$work/index.md"
grep -q '^# Results$' "$work/index.md" || fail "what stood above the table is gone"
if grep -q '^old$' "$work/index.md"; then fail "the old table is still there"; fi
grep -q '^| board\\|1 | .* | tiny-phi | ' "$work/index.md" || fail "no row: $(cat "$work/index.md")"

printf '{"schema": "midge.plan"}' > "$work/plan.json"
if "$python" "$report" "$work/plan.json" --index "$work/index.md" 2> "$work/error.txt"; then
  fail "a plan was taken for a result"
fi
grep -q 'plan.json: not a result of midge bench' "$work/error.txt" || fail "$(cat "$work/error.txt")"

if ! "$python" -c 'import matplotlib' 2> /dev/null; then
  echo "no matplotlib: the page was not drawn"
  exit 0
fi
"$python" "$report" "$work/board|1.json" --html "$work/page.html"
grep -q '<svg' "$work/page.html" || fail "no picture"
if grep -Eq '(src|href)=.(https?:)?//|url\([^#]|@import|<script' "$work/page.html"; then
  fail "the page loads something"
fi
