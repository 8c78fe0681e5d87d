#!/usr/bin/env bash
# Every C file is as clang-format writes it.
set -euo pipefail
git ls-files -z --cached --others --exclude-standard -- 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' |
	xargs -0 -r -n 40 clang-format --dry-run --Werror
