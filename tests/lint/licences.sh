#!/usr/bin/env bash
# What the program links must be compatible with Apache-2.0: no GPL library gets in unnoticed.
set -euo pipefail
allowed='^(linux-vdso|libc|libm|libdl|libpthread|librt|ld-linux-x86-64|libjansson|libyaml-0|libsqlite3|libcrypto|libssl|libprotobuf-c|libhttp_parser|libz)$'
bad=0
needed=$(objdump -p "$1" | awk '/NEEDED/ {print $2}')
[ -n "$needed" ] || { echo "objdump found no library in $1"; exit 1; }
for lib in $needed; do
	name=${lib%%.so*}
	if ! [[ $name =~ $allowed ]]; then
		echo "$lib is linked but not on the list of licences that fit Apache-2.0"
		bad=1
	fi
done
exit $bad
