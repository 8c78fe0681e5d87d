#!/usr/bin/env bash
# clang-tidy: every file when CI is set, else the files that differ from the last commit or from
# the main branch's remote. $1 is the build folder with compile_commands.json.
set -euo pipefail
if [ -n "${CI:-}" ]; then
	files=$(git ls-files -- 'src/*.c')
else
	base=$(git merge-base HEAD '@{upstream}' 2>/dev/null || git rev-parse HEAD)
	files=$( (git diff --name-only --diff-filter=d "$base" -- 'src/*.c'
		git ls-files --others --exclude-standard -- 'src/*.c') | sort -u)
fi
[ -n "$files" ] || { echo "tidy: no changed file"; exit 0; }
# The largest first, so that none of them is left when the other CPU has nothing to do any more.
ls -S -- $files | xargs -n 4 -P 2 clang-tidy --quiet -p "$1" --warnings-as-errors='*'
