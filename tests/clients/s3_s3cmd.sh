#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# s3cmd against an S3 endpoint: a tree of files up and down, odd names, listings, deletion, a large file in one put.
# ADR_S3_ENDPOINT, ADR_S3_ACCESS_KEY, ADR_S3_SECRET_KEY say where; --big sends 1 GiB instead of 64 MiB. Uses a bucket of
# its own, and removes it. Ends with "N passed, N failed".
set -u
: "${ADR_S3_ENDPOINT:?}" "${ADR_S3_ACCESS_KEY:?}" "${ADR_S3_SECRET_KEY:?}"
size=$((64 << 20)) files=60
if [[ ${1:-} == --big ]]; then size=$((1 << 30)) files=1000; fi
work=$(mktemp -d) bucket=s3cmd-$$-$RANDOM passed=0 failed=0
trap 'rm -rf "$work"' EXIT
host=${ADR_S3_ENDPOINT#*://}
umask 077
cat >"$work/cfg" <<END
[default]
access_key = $ADR_S3_ACCESS_KEY
secret_key = $ADR_S3_SECRET_KEY
host_base = $host
host_bucket = $host
use_https = False
signature_v2 = False
bucket_location = ${ADR_S3_REGION:-us-east-1}
END

s3() { s3cmd -c "$work/cfg" --no-progress --disable-multipart "$@"; }
check() {
    local name=$1
    shift
    if "$@" >"$work/out" 2>&1; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $name"
        tail -n 5 "$work/out"
    fi
}
not() { ! "$@"; }
# The same after a put and a get.
returns() {
    rm -f "$work/back"
    s3 put "$1" "s3://$bucket/$2" && s3 get "s3://$bucket/$2" "$work/back" && cmp "$1" "$work/back"
}
same_count() { [[ $(s3 ls --recursive "s3://$bucket/$1" | wc -l) == "$2" ]]; }

check "make a bucket" s3 mb "s3://$bucket"
check "it is listed" grep -q "s3://$bucket\$" <(s3 ls)
for bytes in 0 1 65536 65537 1048576 5000001; do
    head -c "$bytes" /dev/urandom >"$work/file"
    check "$bytes bytes" returns "$work/file" "size/$bytes"
done
number=0
for name in 'a b' 'plus+plus' 'per%cent' '%2F' 'ümlaut' 'emoji 🚀' 'a//b' "quote'" 'amp&=?#' '..' 'tilde~' '(braces)[x]'; do
    number=$((number + 1))
    echo "$number" >"$work/file"
    check "key $name" returns "$work/file" "odd/$name"
    check "listed $name" grep -qF "s3://$bucket/odd/$name" <(s3 ls --recursive "s3://$bucket/odd/")
done
check "odd keys deleted" s3 del --recursive --force "s3://$bucket/odd/"
check "none is left" same_count odd/ 0

mkdir "$work/tree"
for ((n = 0; n < files; n++)); do
    mkdir -p "$work/tree/d$((n % 7))"
    head -c $((n * 97 % 5000)) /dev/urandom >"$work/tree/d$((n % 7))/file $n"
done
check "a tree up" s3 put --recursive "$work/tree/" "s3://$bucket/tree/"
check "all of it listed" same_count tree/ "$files"
check "its folders" test "$(s3 ls "s3://$bucket/tree/" | grep -c DIR)" = 7
mkdir "$work/down"
check "the tree down" s3 get --recursive "s3://$bucket/tree/" "$work/down/"
check "it is the same" diff -r "$work/tree" "$work/down"
check "sync has nothing to do" test -z "$(s3 sync --dry-run "$work/tree/" "s3://$bucket/tree/" | grep upload)"

head -c "$size" /dev/urandom >"$work/big"
check "$size bytes in one put" returns "$work/big" big
check "a bucket with objects stays" not s3 rb "s3://$bucket"
check "everything deleted" s3 del --recursive --force "s3://$bucket"
check "bucket removed" s3 rb "s3://$bucket"
check "it is gone" not grep -q "s3://$bucket\$" <(s3 ls)
echo "$passed passed, $failed failed"
((failed == 0))
