#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# 2,000 seeds of the simulator: a fixed range, and one that the present commit chooses, so that every landing tries
# new ones. The first violation ends it with the line that replays it. ADR_SIM_SEEDS is another count than 1,000 for each
# of the two ranges (a build under a sanitizer takes fewer).
set -euo pipefail
top=${top_srcdir:-.}
sim=${top_builddir:-.}/tests/sim/sim
jobs=$(nproc)
count=${ADR_SIM_SEEDS:-1000}

commit=$(git -C "$top" rev-parse HEAD 2>/dev/null || true)
first=$((100000 + 16#0${commit:0:7} % 10000000 * 1000))
echo "seeds 1-$count and $first-$((first + count - 1))${commit:+ (of commit ${commit:0:12})}"
"$sim" --seeds "1-$count" --jobs "$jobs"
"$sim" --seeds "$first-$((first + count - 1))" --jobs "$jobs" --marks
