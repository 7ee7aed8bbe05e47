#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# curl --aws-sigv4 against an S3 endpoint, and requests that no client should send.
# ADR_S3_ENDPOINT, ADR_S3_ACCESS_KEY, ADR_S3_SECRET_KEY say where; --big sends 1 GiB instead of 64 MiB. Uses a bucket of
# its own, and removes it. Ends with "N passed, N failed".
set -u
: "${ADR_S3_ENDPOINT:?}" "${ADR_S3_ACCESS_KEY:?}" "${ADR_S3_SECRET_KEY:?}"
size=$((64 << 20))
if [[ ${1:-} == --big ]]; then size=$((1 << 30)); fi
work=$(mktemp -d) bucket=curl-$$-$RANDOM passed=0 failed=0
trap 'rm -rf "$work"' EXIT
endpoint=$ADR_S3_ENDPOINT region=${ADR_S3_REGION:-us-east-1}
umask 077
# The keys stay off the command line, which everybody on the host can read.
printf 'user = "%s:%s"\naws-sigv4 = "aws:amz:%s:s3"\n' "$ADR_S3_ACCESS_KEY" "$ADR_S3_SECRET_KEY" "$region" >"$work/cfg"
UNSIGNED='x-amz-content-sha256: UNSIGNED-PAYLOAD'

raw() { curl -sS -g --path-as-is --max-time 120 "$@"; }
signed() { raw -K "$work/cfg" "$@"; }
status() { signed -o "$work/body" -w '%{http_code}' "$@"; }
good() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED: $*"
}
# is NAME STATUS [TEXT] -- arguments of curl
is() {
    local name=$1 wanted=$2 text= got
    shift 2
    if [[ $1 != -- ]]; then text=$1; shift; fi
    shift
    got=$(status "$@" 2>"$work/error")
    if [[ $got == "$wanted" ]] && { [[ -z $text ]] || grep -q "$text" "$work/body"; }; then good
    else bad "$name: $got $(head -c 300 "$work/body" 2>/dev/null) $(cat "$work/error")"; fi
}
same() { if cmp -s "$2" "$3"; then good; else bad "$1"; fi; }

is "make a bucket" 200 -- -X PUT "$endpoint/$bucket"
is "make it again" 409 BucketAlreadyOwnedByYou -- -X PUT "$endpoint/$bucket"
is "list buckets" 200 "<Name>$bucket</Name>" -- "$endpoint/"
is "location" 200 LocationConstraint -- "$endpoint/$bucket?location="
for bytes in 0 1 65537 3000000; do
    head -c "$bytes" /dev/urandom >"$work/file"
    is "put $bytes bytes" 200 -- -H "$UNSIGNED" -T "$work/file" "$endpoint/$bucket/file"
    is "get $bytes bytes" 200 -- "$endpoint/$bucket/file"
    same "compare $bytes bytes" "$work/file" "$work/body"
done
is "a range" 206 -- -r 1000000-2000000 "$endpoint/$bucket/file"
same "compare the range" <(tail -c +1000001 "$work/file" | head -c 1000001) "$work/body"
is "no such range" 416 InvalidRange -- -r 99999999-  "$endpoint/$bucket/file"
is "head" 200 -- -I "$endpoint/$bucket/file"
if grep -qi '^content-length: 3000000' "$work/body"; then good; else bad "length by head"; fi
is "delimiter" 200 '<Key>file</Key>' -- "$endpoint/$bucket?delimiter=%2F&list-type=2&prefix="
is "put without bucket" 404 NoSuchBucket -- -H "$UNSIGNED" -T "$work/file" "$endpoint/$bucket-none/file"
is "length missing" 411 MissingContentLength -- -H "$UNSIGNED" -H 'Transfer-Encoding: chunked' -T "$work/file" "$endpoint/$bucket/x"
is "not implemented" 501 NotImplemented -- "$endpoint/$bucket?acl="
is "method" 405 MethodNotAllowed -- -X PATCH "$endpoint/$bucket/file"
is "location constraint" 400 IllegalLocation -- -X PUT -H "$UNSIGNED" -d '<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint></CreateBucketConfiguration>' "$endpoint/$bucket-x"
is "no XML" 400 MalformedXML -- -X PUT -H "$UNSIGNED" -d 'no xml <' "$endpoint/$bucket-x"
is "entities" 400 MalformedXML -- -X PUT -H "$UNSIGNED" -d '<!DOCTYPE x [<!ENTITY a "b">]><CreateBucketConfiguration><LocationConstraint>&a;</LocationConstraint></CreateBucketConfiguration>' "$endpoint/$bucket-x"
head -c 200000 /dev/zero | tr '\0' x >"$work/long"
is "a long body" 400 MaxMessageLengthExceeded -- -X PUT -H "$UNSIGNED" --data-binary @"$work/long" "$endpoint/$bucket-x"
got=$(raw -o "$work/body" -w '%{http_code}' "$endpoint/$bucket/file")
if [[ $got == 403 ]]; then good; else bad "without a signature: $got"; fi

head -c "$size" /dev/urandom >"$work/big"
is "put $size bytes" 200 -- -H "$UNSIGNED" -T "$work/big" "$endpoint/$bucket/big"
is "get $size bytes" 200 -- "$endpoint/$bucket/big"
same "compare $size bytes" "$work/big" "$work/body"
for key in file big; do is "delete $key" 204 -- -X DELETE "$endpoint/$bucket/$key"; done
is "it is gone" 404 NoSuchKey -- "$endpoint/$bucket/file"
is "delete the bucket" 204 -- -X DELETE "$endpoint/$bucket"
is "it is gone, too" 404 NoSuchBucket -- "$endpoint/$bucket"

# Bytes that are no request, and requests that are no good ones: the edge must live through all of them.
host=${endpoint#*://} port=${host##*:} host=${host%:*}
trap '' PIPE # it may answer, and close, before it has heard all
send() {
    local out
    exec 3<>"/dev/tcp/$host/$port" || return
    printf '%b' "$1" >&3 2>/dev/null
    out=$(timeout 2 head -c 200 <&3)
    exec 3>&-
    echo "$out" >/dev/null
}
long=$(printf 'x%.0s' {1..20000})
for text in 'GET\r\n\r\n' '\0\0\0\0' 'GET /%00%ff%zz HTTP/1.1\r\nHost: x\r\n\r\n' "GET /$long HTTP/1.1\r\nHost: x\r\n\r\n" \
    "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: $long\r\n\r\n" 'PUT /a/b HTTP/1.1\r\nContent-Length: -1\r\n\r\n' \
    'PUT /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n' '* / HTTP/1.1\r\n\r\n' \
    'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n' 'GET ? HTTP/1.1\r\nHost: x\r\n\r\n' 'GET http:// HTTP/1.1\r\n\r\n' \
    'PUT /a/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nffffffffffffffffff\r\n' \
    'GET / HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;;;,Signature=\r\n\r\n' \
    'GET /?&&&=&=&%&a=%2&a HTTP/1.1\r\nHost: x\r\n\r\n' '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'; do
    send "$text"
    got=$(raw -o /dev/null -w '%{http_code}' "$endpoint/_adrestia/health/live")
    if [[ $got == 200 ]]; then good; else bad "alive after ${text:0:40}: $got"; fi
done

# Of a request whose end two readers may see at two places nothing behind it is answered.
answers() {
    exec 3<>"/dev/tcp/$host/$port" || return
    printf '%b' "$1" >&3 2>/dev/null
    timeout 2 cat <&3 | grep -ac 'HTTP/1.1 '
    exec 3>&-
}
health='GET /_adrestia/health/live HTTP/1.1\r\nHost: x\r\n\r\n'
length=$(printf '%b' "$health" | wc -c)
for text in "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" "Content-Length: 0\r\nContent-Length: $length\r\n\r\n" \
    "Content-Length : $length\r\n\r\n" "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"; do
    got=$(answers "POST /_adrestia/health/live HTTP/1.1\r\nHost: x\r\n$text$health")
    if [[ $got == 1 ]]; then good; else bad "$got answers to ${text:0:40}"; fi
done
echo "$passed passed, $failed failed"
((failed == 0))
