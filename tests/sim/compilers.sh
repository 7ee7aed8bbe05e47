#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Invariant 12: the same seed gives the same trace, whatever compiler and optimisation made the simulator. Builds it anew
# with each and compares the digest of all traces with the one of this build.
#
#     compilers.sh [SEEDS]      by default 1-60; where there is no clang, gcc stands alone, and it says so
set -euo pipefail
top=$(cd "${top_srcdir:-.}" && pwd) build=$(cd "${top_builddir:-.}" && pwd)
seeds=${1:-1-60}
read -r -a libs <<<"${PROTOBUF_LIBS:--lprotobuf-c} ${SODIUM_LIBS:--lsodium}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

digest() { "$1" --seeds "$seeds" --jobs "$(nproc)" | sed -nE '1s/.*digest of all traces ([0-9a-f]+).*/\1/p'; }

made_with() { # COMPILER OPTION
    local name=$folder/$1$2 file
    mkdir "$name"
    for file in "$top"/src/{core,wire,store,actors}/*.c "$build"/src/wire/*.pb-c.c "$top"/tests/sim/*.c \
                "$top/tests/unit/memory_index.c" "$top/tests/unit/ideal_group.c"; do
        case $file in */store/disk_posix.c | */store/*_lmdb*.c | */store/index_*.c) ;; *) echo "$file" ;; esac
    done | (cd "$name" && xargs -P "$(nproc)" -n 4 "$1" "$2" -std=gnu11 -D_GNU_SOURCE -w -c \
        -I"$top/src" -I"$top/tests/sim" -I"$top/tests/unit" -I"$build/src")
    "$1" -o "$name/sim" "$name"/*.o "${libs[@]}"
    digest "$name/sim"
}

expected=$(digest "$build/tests/sim/sim")
[ -n "$expected" ] || { echo "the simulator of this build fails on seeds $seeds" >&2; exit 1; }
code=0
for pair in 'gcc -O0' 'clang -O2'; do
    read -r compiler option <<<"$pair"
    command -v "$compiler" >/dev/null || { echo "$compiler is not installed: not compared"; continue; }
    found=$(made_with "$compiler" "$option")
    echo "$pair: $found"
    [ "$found" = "$expected" ] || { echo "... and this build has $expected" >&2; code=1; }
done
exit $code
