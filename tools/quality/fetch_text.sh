#!/usr/bin/env bash
# Makes the texts that quality is measured on, from Debian packages, in build/text:
#   prose.txt        100 kB of the Developer's Reference (package developers-reference)
#   code.txt         30 kB of Python: argparse.py, difflib.py (libpython3.11-minimal, -stdlib)
#   calibration.txt  what a quantiser may look at, nothing of the above: 80 kB of the Debian FAQ
#                    (debian-faq) and 40 kB of Perl (perl-modules-5.36)
# The packages are downloaded and unpacked, not installed. Their licences are in the packages; the
# texts are not part of midge. Needs apt-get and dpkg (Debian 12).
# usage: tools/quality/fetch_text.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

packages=(developers-reference debian-faq libpython3.11-minimal libpython3.11-stdlib
  perl-modules-5.36)
folder=$repo_root/build/text
if [ -e "$folder/calibration.txt" ]; then
  say "text: $folder is there"
  exit 0
fi
mkdir -p "$folder"
unfinished=$(mktemp -d "$folder/unfinished.XXXXXX")
trap 'rm -rf "$unfinished"' EXIT
cd "$unfinished"
say "text: fetching ${packages[*]}"
quietly fetch-text apt-get -o APT::Sandbox::User=root download "${packages[@]}"
for package in *.deb; do dpkg -x "$package" .; done

# cut_bytes BYTES FILE: that many bytes, without the begin, which is often a table of contents.
cut_bytes() { head -c $((20000 + $1)) "$2" | tail -c "$1"; }
gunzip usr/share/developers-reference/developers-reference.txt.gz \
  usr/share/doc/debian/FAQ/debian-faq.en.txt.gz
cut_bytes 100000 usr/share/developers-reference/developers-reference.txt >"$folder/prose.txt"
cat usr/lib/python3.11/argparse.py usr/lib/python3.11/difflib.py >all.py
cut_bytes 30000 all.py >"$folder/code.txt"
cat usr/share/perl/5.36*/Text/*.pm usr/share/perl/5.36*/File/*.pm >all.pm
{
  cut_bytes 80000 usr/share/doc/debian/FAQ/debian-faq.en.txt
  cut_bytes 40000 all.pm
} >calibration.txt
mv calibration.txt "$folder/"
say "text: $(cd "$folder" && wc -c ./*.txt | tr '\n' ' ')"
