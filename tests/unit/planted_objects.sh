#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# Plants each bug in the writers and collectors of objects, or in the group that they ask, and runs test_collector on them: it must
# fail. For the rules see docs/protocol/collector.md.
set -euo pipefail
test=${top_builddir:-.}/tests/unit/test_collector_planted
missed=0
for name in OBJECT_1_LATE_COMMIT OBJECT_1_RECORD_IGNORED OBJECT_1_ROW_ONCE OBJECT_1_SWEPT_YOUNG OBJECT_2_UNKNOWN_DELETED \
            OBJECT_4_NO_GRACE OBJECT_4_ROW_FIRST; do
    if out=$(ADR_PLANTED=$name ADR_SEEDS=300 "$test" 2>&1); then
        echo "$name: NOT FOUND in 300 seeds"
        missed=$((missed + 1))
    else
        echo "$name: seed $(($(grep -c '^seed' <<<"$out") + 1)), $(grep -m1 '^ERROR' <<<"$out" || echo 'ERROR: something stays')"
    fi
done
[ $missed -eq 0 ]
