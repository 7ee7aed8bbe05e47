#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Actors are pure, and the linker says so: core with wire, store and actors link alone, and ask nothing of the outside
# that allowed.txt beside this does not name. Then the same with an object that reads a clock, which must be found.
set -euo pipefail
top=${top_srcdir:-.} build=${top_builddir:-.}
: "${CC:=gcc}" "${NM:=nm}"
read -r -a list <<<"$NM"
here=$top/tests/purity
archives=("$build"/.libs/libadr_{core,store,actors}.a)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Lines `object symbol` that some object leaves undefined and none defines.
asked() { # ARCHIVE|OBJECT...
    "${list[@]}" -A -g "$@" | sed -nE 's/^(.*[:\/])?([^:\/]+\.o): *([0-9a-f]+)? +([A-Za-z]) ([^ ]+)$/\2 \4 \5/p' |
        awk '$2 ~ /^[Uw]$/ { asked[$1 " " $3] = $3; next } { defined[$3] = 1 }
             END { for (line in asked) if (!(asked[line] in defined)) print line }' | sort
}

# 0 if every line of standard input is allowed; else says which is not.
judge() {
    local object symbol n ok=0 word
    local -a used=()
    while read -r object symbol; do
        local hit=
        for n in "${!symbols[@]}"; do
            # shellcheck disable=SC2053
            [[ $symbol == ${symbols[n]} ]] || continue
            for word in ${objects[n]}; do
                # shellcheck disable=SC2053
                if [[ ${object#*_la-} == $word ]]; then hit=1 used[n]=1; fi
            done
        done
        if [[ -z $hit ]]; then
            echo "$object uses $symbol, which tests/purity/allowed.txt does not allow it"
            ok=1
        fi
    done
    for n in "${!symbols[@]}"; do
        if [[ -z ${used[n]:-} && -z ${maybe[n]} ]]; then
            echo "nothing uses ${symbols[n]} (${objects[n]}) any more: take it out of tests/purity/allowed.txt"
            ok=1
        fi
    done
    return "$ok"
}

symbols=() objects=() maybe=()
set -f
while IFS= read -r line; do
    why=
    [[ $line != *'#'* ]] || why=${line#*#}
    read -r symbol rest <<<"${line%%#*}" || true
    [[ -n $symbol ]] || continue
    symbols+=("$symbol") objects+=("$rest")
    if [[ $why == ' ?'* ]]; then maybe+=(1); else maybe+=(''); fi
done <"$here/allowed.txt"

read -r -a compile <<<"$CC ${SANITIZE_CFLAGS:-}"
read -r -a libraries <<<"${PROTOBUF_LIBS:--lprotobuf-c} ${SODIUM_LIBS:--lsodium}"
"${compile[@]}" -o "$folder/pure" "$here/pure.c" -Wl,--whole-archive "${archives[@]}" -Wl,--no-whole-archive \
    "${libraries[@]}"
"$folder/pure"
asked "${archives[@]}" >"$folder/asked"
judge <"$folder/asked"

"${compile[@]}" -D_GNU_SOURCE -c -o "$folder/impure.o" "$here/impure.c"
asked "${archives[@]}" "$folder/impure.o" >"$folder/impure"
if judge <"$folder/impure" >"$folder/said" || ! grep -q '^impure.o uses clock_gettime' "$folder/said"; then
    echo "an object that reads a clock was not found:"
    cat "$folder/said"
    exit 1
fi
echo "$(wc -l <"$folder/asked") uses of the outside, all allowed"
