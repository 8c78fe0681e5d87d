#!/usr/bin/env bash
# What the programs load must be compatible with Apache-2.0: no GPL library gets in unnoticed.
#   licences.sh PERSEUS   checks it, and perseus-convert beside it, with what their libraries need
set -euo pipefail
# Library, and its licence. libc and its parts are LGPL-2.1: linked dynamically, never copied in.
# ONNX Runtime (MIT) is opened while running, and installed with its licence and notices.
licences="
linux-vdso          the kernel's, which lets user programs use it
ld-linux-x86-64     LGPL-2.1-or-later
libc                LGPL-2.1-or-later
libm                LGPL-2.1-or-later
libdl               LGPL-2.1-or-later
libpthread          LGPL-2.1-or-later
librt               LGPL-2.1-or-later
libcrypto           Apache-2.0
libhttp_parser      MIT
libjansson          MIT
libnghttp2          MIT
libprotobuf-c       BSD-2-Clause
libssl              Apache-2.0
libsqlite3          public domain
libyaml-0           MIT
libz                Zlib
libCbc              EPL-1.0: opened at run time, unchanged (docs/decisions/011)
libCbcSolver        EPL-1.0
libCgl              EPL-1.0
libClp              EPL-1.0
libCoinUtils        EPL-1.0
libOsi              EPL-1.0
libOsiClp           EPL-1.0
libbz2              bzip2-1.0.6
liblapack           BSD-3-Clause
libblas             BSD-3-Clause
libstdc++           GPL-3.0-or-later WITH GCC-exception-3.1
libgcc_s            GPL-3.0-or-later WITH GCC-exception-3.1
liblapacke          BSD-3-Clause
libtmglib           BSD-3-Clause
libsvm              BSD-3-Clause
libgfortran         GPL-3.0-or-later WITH GCC-exception-3.1
libquadmath         LGPL-2.1-or-later
"
bad=0
# What `perseus predict`, `plan` and `cache` open while running (src/predict/numeric.c, src/cache/clp.c,
# src/plan/solvers.c), with what that needs.
opened=""
for file in liblapacke.so.3 libsvm.so.3 libClp.so.1 libCbcSolver.so.3; do
	path=$(/sbin/ldconfig -p | awk -v f="$file" '$1 == f { print $NF; exit }')
	[ -n "$path" ] || { echo "$file is not installed: scripts/setup does that"; exit 1; }
	grep -qE "^${file%%.so*} " <<<"$licences" || { echo "$file has no licence here"; exit 1; }
	opened="$opened $path"
done
for program in "$1" "$(dirname "$1")/perseus-convert" $opened; do
	# Transitive; a line is "NAME => PATH (ADDRESS)", or without an arrow for vdso and loader.
	needed=$(ldd "$program" | awk '{print $1}')
	[ -n "$needed" ] || { echo "ldd found no library in $program"; exit 1; }
	for lib in $needed; do
		name=$(basename "${lib%%.so*}")
		if ! awk -v n="$name" '$1 == n && NF > 1 { f = 1 } END { exit !f }' <<<"$licences"; then
			echo "$program loads $lib, which is not on the list of licences that fit Apache-2.0"
			bad=1
		fi
	done
done
exit $bad
