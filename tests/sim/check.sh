#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# 2,000 seeds of the simulator: a fixed range, and one that the present commit chooses, so that every landing tries
# new ones. The first violation ends it with the line that replays it.
set -euo pipefail
top=${top_srcdir:-.}
sim=${top_builddir:-.}/tests/sim/sim
jobs=$(nproc)

commit=$(git -C "$top" rev-parse HEAD 2>/dev/null || true)
first=$((100000 + 16#0${commit:0:7} % 10000000 * 1000))
echo "seeds 1-1000 and $first-$((first + 999))${commit:+ (of commit ${commit:0:12})}"
"$sim" --seeds 1-1000 --jobs "$jobs"
"$sim" --seeds "$first-$((first + 999))" --jobs "$jobs" --marks
