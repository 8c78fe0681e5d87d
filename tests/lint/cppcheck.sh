#!/usr/bin/env bash
# cppcheck over the program's own files; $1 is the build folder, which keeps its cache. gcc and
# clang define the right shift of negative numbers, so that portability warning is off; so is the
# one that asks for the deprecated readdir_r.
set -euo pipefail
mkdir -p "$1/cppcheck"
exec cppcheck --quiet --error-exitcode=1 --inline-suppr -j 2 --cppcheck-build-dir="$1/cppcheck" \
	--enable=warning,portability --std=c11 --library=posix \
	--suppress=shiftTooManyBitsSigned --suppress=readdirCalled --suppress=missingIncludeSystem --suppress=unmatchedSuppression \
	--suppress='*:*/build/*' --suppress='*:*.pb-c.*' \
	-I src $(git ls-files --cached --others --exclude-standard -- 'src/*.c')
