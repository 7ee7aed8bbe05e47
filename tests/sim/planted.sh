#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Plants each bug of plants.txt in turn and lets the simulator look for it: at most 1,000 seeds. Prints the seed and
# the invariant that found it; fails if one is not found, for then the generator is blind, or a checker is missing.
# Lines of plants.txt that begin with `?` name bugs that no seed finds yet, or too few do: hunted on demand, by name.
#
#     planted.sh [NAME...]      ADR_PLANT_STEP=N: one plant in N, chosen by the commit, so that N landings try all
set -euo pipefail
top=${top_srcdir:-.}
sim=${top_builddir:-.}/tests/sim/sim_planted
list=$(dirname "$0")/plants.txt
[ -f "$list" ] || list=$top/tests/sim/plants.txt

step=${ADR_PLANT_STEP:-1}
if [ $# -gt 0 ]; then
    names=("$@")
else
    commit=$(git -C "$top" rev-parse HEAD 2>/dev/null || true)
    mapfile -t names < <(grep -v '^[#?]' "$list" | awk -v step=$step -v at=$((16#0${commit:0:7} % step)) \
        'NF && n++ % step == at { print $1 }')
fi

missed=0
for name in "${names[@]}"; do
    found=
    for block in 1-40 41-160 161-400 401-1000; do
        if out=$("$sim" --plant "$name" --seeds $block --jobs "$(nproc)" 2>/dev/null); then
            found=$(grep -m1 'FAILED' <<<"$out" | sed 's/: FAILED//')
            break
        fi
    done
    if [ -n "$found" ]; then
        echo "$name: $found"
    else
        echo "$name: NOT FOUND in 1,000 seeds"
        missed=$((missed + 1))
    fi
done
echo "${#names[@]} planted, $missed not found"
[ $missed -eq 0 ]
