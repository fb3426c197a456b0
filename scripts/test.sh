#!/usr/bin/env bash
# Installs, configures, builds and runs every test: natively, then the arm64 build under the
# emulator as two CPUs, each kernel as the least CPU that has its level, the smallest profile as three
# CPUs, then each fuzz target for 6 seconds. The vocabularies of the target models, a small model
# with trained weights and clients of the server are fetched first; where there is no network the
# tests that need them are skipped, which the last lines say. All phases run even when an earlier one
# failed; the exit code is 1 then.
# usage: scripts/test.sh [--native-only] [--jobs N] [--long] [--fuzz-minutes M] [--only REGEX]
#   --native-only     no cross build and no emulator
#   --jobs N          N jobs at a time (default: the number of processors)
#   --long            also what takes longer: whole texts of a trained model, every shape of every
#                     kernel as every emulated CPU, the arm64 builds by clang and of the profile core,
#                     the whole suite under the address and undefined behaviour sanitizers and under
#                     the thread sanitizer, the tests that judge time, larger clients of the server,
#                     20 minutes for each fuzz target
#   --fuzz-minutes M  M minutes for each fuzz target; fractions such as 0.5 are allowed; 0: none
#   --only REGEX      only the phases whose names match, besides the preparations, as 'asan' with
#                     --long: what takes hours may be done in pieces
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage="usage: test.sh [--native-only] [--jobs N] [--long] [--fuzz-minutes M] [--only REGEX]"
native_only=no
long=no
jobs=$(nproc)
fuzz_minutes=
only=
while [ $# -gt 0 ]; do
  case $1 in
    --native-only) native_only=yes ;;
    --long) long=yes ;;
    --jobs)
      jobs=$(option_value "$@")
      shift
      ;;
    --fuzz-minutes)
      fuzz_minutes=$(option_value "$@")
      shift
      ;;
    --only)
      only=$(option_value "$@")
      shift
      ;;
    *) fail "unknown option $1; $usage" ;;
  esac
  shift
done
[[ $jobs =~ ^[1-9][0-9]*$ ]] || fail "--jobs wants a positive number, got $jobs"
if [ -z "$fuzz_minutes" ]; then
  if [ "$long" = yes ]; then fuzz_minutes=20; else fuzz_minutes=0.1; fi
fi
[[ $fuzz_minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "--fuzz-minutes wants a number, got $fuzz_minutes"

cd "$repo_root"
mkdir -p "$logs_dir"
report=()         # one line for each phase that ran
failed_phases=()
totals=           # what the running phase counted
quoted_test=      # what the end of the output quotes: the first failed test run, or else the last
test_failed=no

# The preparations are quick where everything is there.
preparations="dependencies|vocabularies|real model|clients"

# is_wanted NAME: whether --only leaves that phase.
is_wanted() { [[ -z $only || $1 =~ ^($preparations)$ || $1 =~ $only ]]; }

# phase NAME COMMAND...: runs COMMAND under a heading and keeps the outcome for the end, with what the
# command left in `totals`.
phase() {
  local name=$1 start=$SECONDS code=0 outcome=passed
  is_wanted "$name" || return 0
  shift
  printf '\n== %s (started after %d s)\n' "$name" "$start"
  totals=
  "$@" || code=$?
  if [ "$code" -ne 0 ]; then
    outcome=FAILED
    failed_phases+=("$name")
  fi
  report+=("$(printf '%5d s  %s  %s%s' $((SECONDS - start)) "$outcome" "$name" \
    "${totals:+: $totals}")")
  return "$code"
}

# test_log NAME: where the output of that test phase is kept.
test_log() { printf '%s\n' "$logs_dir/$(tr ' ,=' '---' <<<"$1").log"; }

# The tests that depend on the CPU's ISA levels, but for those of kernels.
level_tests='(Levels|CpuFeatures|HarnessSelfTest|Selection)\.'

# Models of trained weights: long texts, and no code that small models do not run.
trained_models='^(RealModel|Models/Quality)'
# Of these, the longest: with --long.
long_texts='^(RealModelQuality\.|RealModel/RealModelLogits\..*/long)'

# Those of text and files, and of the program, which see no difference between CPUs: under the
# emulator they run once.
run_once='(Golden/[A-Za-z]*Vocabulary|Pretokenizer|Sentencepiece[A-Za-z]*'
run_once+='|Tokenizer[A-Za-z]*|Chat[A-Za-z]*|Unicode|AddedTokens|Bpe|Vocabulary|Json|Gguf|SplitGguf'
run_once+='|Safetensors|Files/Packed[A-Za-z]*|Cli[A-Za-z]*)\.'

# Of programs that the cross build has, the tests that it would not have if they were programs of
# their own (ANY_MACHINE in tests/CMakeLists.txt), and of long ones that are alike, one. Under the
# emulator they run with --long.
run_natively='LeastSquares\.|Cli\.(bench|chat|profile|run_messages|pack_t(arget_bpw|ensor)|importance_of_own)'
run_natively+='|Types/KvTypes\.(SchedulingChangesNoToken|LogitsAreCloseToThoseOfF32)'
run_natively+='|Encodings/Packed\.CalibrationChangesKernelsAndNoBits'
run_natively+='|Models/Bundled\.PerplexityLikeTransformers|RealModel/RealModelGreedy'
# Generic kernels are plain C++: held to f64 natively, and what each kernel of a level is compared
# with, under the emulator too.
run_natively+='|Kernels\..*_generic$'
# Definitions of text, rows and plans that plain C++ is compared with at length, and each length of a
# file.
run_natively+='|Vocabulary\.TokensMadeToCollide|Bpe\.EqualsTheDefinition|Unicode\.DecodesEvery|UnicodeTables\.'
run_natively+='|Golden\.InvalidBytesOnReal|LoopShares\.ACoreThatSlows|Pack\.TilesHoldTheRows$'
run_natively+='|Reference\.BundledModels|Files/PackedMixes\.BitsDoNotDependOnPieces|Gguf\.EveryTruncation'
# What kernels of these encodings give is compared with the generic ones' results, whole models
# included. That it depends on nothing else is shown with f16, q4b32, q8b32 and q4b32ms256.
run_natively+='|Encodings/Packed\.[^E].*/(q4b32m|q5b32m?|q5b32ms256) '
# Of attention and batches what takes longest. Attention runs as the CPU with all levels anyway.
run_natively+='|Attention\.DependsOnNeitherThreadsNorSteps|MixedBatch\.CancelledInAPass'
run_natively+='|Likelihood\.IsTheSameWithTokensThatAreKnown'
# That packing measures the same there is enough.
run_natively+='|MtpLayer\.(ReadsThe|Refuses|IsLaidOver|HasAPacked)'
run_natively="($run_natively)"

# Whole models: those that show that the kernels of another CPU fit together. The whole suite as the
# CPU with all levels: --long.
whole_models='(Session|MixedBatch|Attention|Models/Parity|ParityGguf|Encodings/MixedTeam)\.'

# run_ctest NAME PRESET [OPTION...]: the tests of a preset, shown, kept and counted.
run_ctest() {
  local name=$1 preset=$2 code=0 log summary failed count skipped
  shift 2
  log=$(test_log "$name")
  ctest --preset "$preset" --parallel "$jobs" "$@" </dev/null 2>&1 | tee "$log" || code=$?
  summary=$(sed -n 's/.*% tests passed, \([0-9]*\) tests failed out of \([0-9]*\)$/\1 \2/p' "$log")
  read -r failed count <<<"${summary:-? ?}"
  skipped=$(grep -c ' (Skipped)$' "$log" || true)
  totals="$count tests, $failed failed, $skipped skipped"
  return "$code"
}

# test_phase NAME PRESET [OPTION...]
test_phase() {
  is_wanted "$1" || return 0
  if [ "$test_failed" = no ]; then
    quoted_test=$1
  fi
  phase "$1" run_ctest "$@" || test_failed=yes
}

# build_phases PRESET: configures and builds; fails when the tests cannot be run. Files of a folder are
# compiled together, which takes half the time from scratch; who works on midge compiles each alone.
# Sanitizers name lines in what they report; nothing else here does.
build_phases() {
  local lines=OFF
  case $1 in asan | tsan) lines=ON ;; esac
  phase "configure $1" quietly "configure-$1" cmake --preset "$1" -D MIDGE_UNITY=ON \
    -D "MIDGE_LINE_NUMBERS=$lines" &&
    phase "build $1" quietly "build-$1" cmake --build --preset "$1" --parallel "$jobs"
}

# The target models' vocabularies, too large to commit. Fetched once; being without network is no
# failure.
vocabularies=(phi-4 phi-4-mini mimo)
absent=()
find_absent_vocabularies() {
  local name
  absent=()
  for name in "${vocabularies[@]}"; do
    [ -e "build/vocabularies/$name/tokenizer.json" ] || absent+=("$name")
  done
  totals="$((${#vocabularies[@]} - ${#absent[@]})) of ${#vocabularies[@]}"
}
fetch_vocabularies() {
  find_absent_vocabularies
  [ ${#absent[@]} -gt 0 ] || return 0
  python3 tools/vocab/fetch_vocabularies.py "${absent[@]}" </dev/null ||
    say "going on without what could not be fetched"
  find_absent_vocabularies
}

# The model with trained weights; being without network is no failure either.
model_absent=no
fetch_real_model() {
  if tools/fetch_real_model.sh </dev/null; then return; fi
  say "going on without the real model"
  model_absent=yes
  totals="absent"
}

# The clients of the server; without a network they may be absent too. The usual ones are run by a
# test of the build.
clients_absent=no
find_clients() {
  if [ -e build/clients/installed ]; then return; fi
  clients_absent=yes
  totals="absent"
}

# run_clients PROGRAM: all clients, also the large ones. Those that are not installed are skipped.
run_clients() {
  local code=0 log=$logs_dir/clients.log
  if [ "$clients_absent" = yes ]; then
    totals="absent"
    return
  fi
  build/clients/bin/python tests/server/check_clients.py "$1" --long --skip-missing </dev/null 2>&1 |
    tee "$log" || code=$?
  totals=$(tail -n 1 "$log")
  [ "$code" -eq 77 ] || return "$code"
}

# fuzz_targets: each fuzz target for a time; counts what was executed.
fuzz_targets() {
  local code=0 log=$logs_dir/fuzz.log
  scripts/fuzz.sh "$fuzz_minutes" --jobs "$jobs" | tee "$log" || code=$?
  totals=$(awk -v minutes="$fuzz_minutes" '
    $3 == "executions," { targets += 1; executions += $2 }
    END { printf "%d targets, %s minutes each, %d executions", targets, minutes, executions }' "$log")
  return "$code"
}

install_options=(--fuzz --vocabularies --clients)
if [ "$native_only" = no ]; then
  install_options+=(--cross)
fi
if [ "$long" = yes ]; then
  install_options+=(--clients-long)
fi

# Whoever else uses the machine must not decide whether these pass.
without_timing=(--label-exclude "^timing$")

# CPUs of the emulator: with i8mm and without SVE, and with everything. What is built here signs its
# return addresses where the CPU can. The hash of the architecture takes the emulator most of its
# time (Vocabulary and Unicode: over 300 s, by its own hash 112 s).
max_i8mm=max,sve=off,pauth-impdef=on
max_all=max,pauth-impdef=on

phase "dependencies" scripts/install_dependencies.sh "${install_options[@]}" || true
phase "vocabularies" fetch_vocabularies || true
phase "real model" fetch_real_model || true
phase "clients" find_clients || true
if build_phases dev; then
  test_phase "test dev" dev "${without_timing[@]}" --exclude-regex "$long_texts"
fi
if [ "$native_only" = no ] && build_phases arm64-emu; then
  # A kernel runs as a CPU that has its level and no higher one: there an instruction too many ends
  # it. As every CPU that has the level: --long.
  QEMU_CPU=cortex-a53 test_phase "test arm64-emu cortex-a53" arm64-emu "${without_timing[@]}" \
    --exclude-regex "^$run_natively"
  QEMU_CPU=cortex-a76 test_phase "test neon_dot arm64-emu cortex-a76" arm64-emu \
    --tests-regex "^(Kernels\..*_neon_dot|$level_tests)"
  QEMU_CPU=$max_i8mm test_phase "test neon_i8mm arm64-emu max,sve=off" arm64-emu \
    --tests-regex "^(Kernels\..*_neon_i8mm|$level_tests)"
  QEMU_CPU=$max_all test_phase "test arm64-emu max" arm64-emu --tests-regex "^($whole_models|$level_tests)" \
    --exclude-regex '^MixedBatch\.CancelledInAPass'
fi
if [ "$native_only" = no ] && build_phases iot; then
  for cpu in cortex-a53 cortex-a76 "$max_i8mm"; do
    QEMU_CPU=$cpu test_phase "test iot $cpu" iot
  done
fi

if [ "$long" = yes ]; then
  if [ "$native_only" = no ] && build_phases arm64-emu-all; then
    # Those that leave out shapes above; the others have run whole as two of these CPUs.
    for cpu in cortex-a53 cortex-a76 "$max_i8mm" "$max_all"; do
      QEMU_CPU=$cpu test_phase "test kernels arm64-emu-all $cpu" arm64-emu-all \
        --tests-regex "^((Kernels|Attention|Exp)\.|$level_tests)"
    done
    QEMU_CPU=$max_all test_phase "test arm64-emu-all max" arm64-emu-all \
      --label-exclude "^(timing|any_machine)$" \
      --exclude-regex "^(Kernels\.|Attention\.|Exp\.|$run_once|$run_natively)"
    QEMU_CPU=cortex-a53 test_phase "test native ones arm64-emu-all cortex-a53" arm64-emu-all \
      --tests-regex "^$run_natively"
    QEMU_CPU=cortex-a53 test_phase "test any machine arm64-emu-all cortex-a53" arm64-emu-all \
      --label-regex "^any_machine$"
  fi
  # Other compilers and profiles: the same code, so as one CPU each.
  for preset in aarch64-linux-clang arm64-core; do
    if [ "$native_only" = no ] && build_phases "$preset"; then
      QEMU_CPU=cortex-a76 test_phase "test $preset cortex-a76" "$preset" "${without_timing[@]}" \
        --exclude-regex "^($run_once|$run_natively)"
    fi
  done
  if build_phases asan; then
    test_phase "test asan" asan "${without_timing[@]}"
  fi
  # Models of trained weights take hours under the thread sanitizer, and no other code.
  if build_phases tsan; then
    test_phase "test tsan" tsan "${without_timing[@]}" --exclude-regex "$trained_models"
  fi
  if build_phases release; then
    MIDGE_QUALITY_TOKENS=10000 test_phase "test release" release "${without_timing[@]}"
    test_phase "test timing release" release --label-regex "^timing$"
    phase "clients release" run_clients build/release/midge || true
  fi
fi

if [[ $fuzz_minutes =~ [1-9] ]]; then
  phase "fuzz" fuzz_targets || true
fi

printf '\n== phases (%d s in all)\n' "$SECONDS"
printf '%s\n' "${report[@]}"
if [ ${#failed_phases[@]} -gt 0 ]; then
  printf 'FAILED phases:' >&2
  printf ' [%s]' "${failed_phases[@]}" >&2
  printf '\n' >&2
fi
# The closing lines are ctest's own summary.
if [ -n "$quoted_test" ]; then
  printf '\n== %s, as ctest sums it up\n' "$quoted_test"
  sed -n '/% tests passed/,$p' "$(test_log "$quoted_test")"
fi
if [ ${#absent[@]} -gt 0 ]; then
  printf '\nThe tests of these vocabularies were skipped, because they could not be fetched: %s\n' \
    "${absent[*]}"
fi
if [ "$model_absent" = yes ]; then
  printf '\nThe tests of the real model were skipped, because it could not be fetched\n'
fi
if [ "$clients_absent" = yes ]; then
  printf '\nThe tests of the server with clients were skipped, because these could not be fetched\n'
fi
[ ${#failed_phases[@]} -eq 0 ]
