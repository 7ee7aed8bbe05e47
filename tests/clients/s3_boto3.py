#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""boto3 against an S3 endpoint: puts, gets, ranges, listings, conditions, odd keys, errors, bytes compared.

ADR_S3_ENDPOINT, ADR_S3_ACCESS_KEY and ADR_S3_SECRET_KEY say where; --big sends 1 GiB in one put instead of 64 MiB.
Uses buckets of its own, and removes them. Ends with "N passed, N failed"."""

import base64
import datetime
import hashlib
import http.client
import io
import os
import socket
import sys
import threading
import urllib.parse
import zlib

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions

ENDPOINT = os.environ["ADR_S3_ENDPOINT"]
ACCESS = os.environ["ADR_S3_ACCESS_KEY"]
SECRET = os.environ["ADR_S3_SECRET_KEY"]
REGION = os.environ.get("ADR_S3_REGION", "us-east-1")
BIG = 1 << 30 if "--big" in sys.argv else 64 << 20
BUCKET = "boto3-%d-%d" % (os.getpid(), int(datetime.datetime.now().timestamp()))

ODD_KEYS = [
    "plain", "a/b/c", "a//b", "/leading", "trailing/", "..", "../up", "./here", "with space", "plus+plus", "per%cent",
    "%2F", "%252F", "q?mark&amp=1#hash", "tilde~", "umlaut-äöü", "emoji-🚀", "日本語/キー", "quote'\"", "<xml>&", "back\\slash",
    "semi;colon:comma,", "star*", "new\nline", "tab\there", "x" * 1024, "=eq", "@at", "[brackets]{braces}|pipe^", "$dollar!",
]

passed = failed = 0


def client(access=ACCESS, secret=SECRET, region=REGION, **config):
    config.setdefault("s3", {"addressing_style": "path"})
    config.setdefault("retries", {"max_attempts": 3})
    return boto3.client("s3", endpoint_url=ENDPOINT, aws_access_key_id=access, aws_secret_access_key=secret,
                        region_name=region, config=botocore.config.Config(signature_version="s3v4", **config))


s3 = client()


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print("FAILED: %s %s" % (name, detail))


def refused(name, code, call, status=None, **arguments):
    try:
        call(**arguments)
        check(name, False, "was done")
    except botocore.exceptions.ClientError as error:
        got = error.response["Error"]["Code"]
        http_status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        check(name, got == code and (status is None or status == http_status), "%s %s" % (got, http_status))


class Pattern(io.RawIOBase):
    """A stream of so many bytes that costs no memory."""

    BLOCK = hashlib.sha256(b"adrestia").digest() * 4096

    def __init__(self, size):
        self.size, self.at = size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def read(self, size=-1):
        size = self.size - self.at if size < 0 else min(size, self.size - self.at)
        start = self.at % len(self.BLOCK)
        data = (self.BLOCK * (size // len(self.BLOCK) + 2))[start:start + size]
        self.at += size
        return data

    def readinto(self, room):
        data = self.read(len(room))
        room[:len(data)] = data
        return len(data)


def pattern_digest(size):
    digest, stream = hashlib.md5(), Pattern(size)
    while True:
        data = stream.read(1 << 20)
        if not data:
            return digest.hexdigest()
        digest.update(data)


def buckets():
    refused("a bucket that is not there", "404", s3.head_bucket, 404, Bucket=BUCKET)
    s3.create_bucket(Bucket=BUCKET)
    check("head bucket", s3.head_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPStatusCode"] == 200)
    refused("a name that is taken", "BucketAlreadyOwnedByYou", s3.create_bucket, 409, Bucket=BUCKET)
    check("list buckets", BUCKET in [one["Name"] for one in s3.list_buckets()["Buckets"]])
    check("location", s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] in (None, REGION))
    refused("foreign location", "IllegalLocationConstraintException", s3.create_bucket, 400, Bucket=BUCKET + "-l",
            CreateBucketConfiguration={"LocationConstraint": "eu-west-9"})
    refused("list without bucket", "NoSuchBucket", s3.list_objects_v2, 404, Bucket=BUCKET + "-none")
    refused("put without bucket", "NoSuchBucket", s3.put_object, 404, Bucket=BUCKET + "-none", Key="k", Body=b"x")
    refused("get without bucket", "NoSuchBucket", s3.get_object, 404, Bucket=BUCKET + "-none", Key="k")
    refused("delete without bucket", "NoSuchBucket", s3.delete_object, 404, Bucket=BUCKET + "-none", Key="k")
    refused("delete no bucket", "NoSuchBucket", s3.delete_bucket, 404, Bucket=BUCKET + "-none")
    for name in ("UPPER", "a", "-ab", "ab-", "a..b", "192.168.1.1", "under_score", "x" * 64, "xn--abc"):
        status, body = raw("PUT", "/" + name)
        check("bucket name " + name, status == 400 and b"InvalidBucketName" in body, (status, body))
    s3.put_object(Bucket=BUCKET, Key="stays", Body=b"1")
    refused("a bucket with objects", "BucketNotEmpty", s3.delete_bucket, 409, Bucket=BUCKET)
    s3.delete_object(Bucket=BUCKET, Key="stays")
    results = []

    def create():
        try:
            client(retries={"max_attempts": 1}).create_bucket(Bucket=BUCKET + "-race")
            results.append(True)
        except botocore.exceptions.ClientError:
            results.append(False)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("of eight creators one wins", results.count(True) == 1, results)
    s3.delete_bucket(Bucket=BUCKET + "-race")
    refused("deleted", "404", s3.head_bucket, 404, Bucket=BUCKET + "-race")


def round_trip(key, body, **arguments):
    etag = '"%s"' % hashlib.md5(body).hexdigest()
    put = s3.put_object(Bucket=BUCKET, Key=key, Body=body, **arguments)
    got = s3.get_object(Bucket=BUCKET, Key=key)
    data = got["Body"].read()
    return put["ETag"] == etag and got["ETag"] == etag and data == body and got["ContentLength"] == len(body)


def objects():
    for size in (0, 1, 65535, 65536, 65537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20, (8 << 20) + 12345):
        check("round trip of %d bytes" % size, round_trip("size-%d" % size, Pattern(size).read()))
        s3.delete_object(Bucket=BUCKET, Key="size-%d" % size)
    check("overwritten", round_trip("over", b"first") and round_trip("over", b"second one"))
    refused("a key that is not there", "NoSuchKey", s3.get_object, 404, Bucket=BUCKET, Key="missing")
    refused("its head", "404", s3.head_object, 404, Bucket=BUCKET, Key="missing")
    check("its deletion", s3.delete_object(Bucket=BUCKET, Key="missing")["ResponseMetadata"]["HTTPStatusCode"] == 204)
    s3.delete_object(Bucket=BUCKET, Key="over")
    refused("deleted", "NoSuchKey", s3.get_object, 404, Bucket=BUCKET, Key="over")
    refused("too long a key", "KeyTooLongError", s3.put_object, 400, Bucket=BUCKET, Key="k" * 1025, Body=b"")


def odd_keys():
    for number, key in enumerate(ODD_KEYS):
        check("key %r" % key[:40], round_trip(key, b"body of %d" % number))
    listed = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    check("odd keys listed in byte order", listed == sorted(ODD_KEYS, key=lambda key: key.encode()), listed)
    for key in ODD_KEYS:
        s3.delete_object(Bucket=BUCKET, Key=key)
    check("odd keys deleted", "Contents" not in s3.list_objects_v2(Bucket=BUCKET))


def headers():
    now = datetime.datetime.now(datetime.timezone.utc)
    s3.put_object(Bucket=BUCKET, Key="meta", Body=b"0123456789", ContentType="text/x-test", CacheControl="max-age=5",
                  ContentDisposition="attachment; filename=x", ContentEncoding="gzip", ContentLanguage="de",
                  Metadata={"colour": "blue", "two": "a  b"})
    head = s3.head_object(Bucket=BUCKET, Key="meta")
    check("kept headers", (head["ContentType"], head["CacheControl"], head["ContentDisposition"],
                           head["ContentEncoding"], head["ContentLanguage"])
          == ("text/x-test", "max-age=5", "attachment; filename=x", "gzip", "de"), head)
    check("user metadata", head["Metadata"].get("colour") == "blue", head["Metadata"])
    check("length by head", head["ContentLength"] == 10)
    s3.put_object(Bucket=BUCKET, Key="untyped", Body=b"")
    check("default type", s3.head_object(Bucket=BUCKET, Key="untyped")["ContentType"] == "binary/octet-stream")
    got = s3.get_object(Bucket=BUCKET, Key="meta", ResponseContentType="text/other", ResponseCacheControl="none")
    check("overrides", got["ContentType"] == "text/other" and got["CacheControl"] == "none")
    refused("too much metadata", "MetadataTooLarge", s3.put_object, 400, Bucket=BUCKET, Key="m", Body=b"",
            Metadata={"a": "x" * 3000})
    etag = head["ETag"]
    get = dict(Bucket=BUCKET, Key="meta")
    check("if-match", s3.get_object(IfMatch=etag, **get)["ContentLength"] == 10)
    refused("if-match fails", "PreconditionFailed", s3.get_object, 412, IfMatch='"no"', **get)
    refused("if-none-match", "304", s3.get_object, 304, IfNoneMatch=etag, **get)
    check("if-none-match of another", s3.get_object(IfNoneMatch='"no"', **get)["ContentLength"] == 10)
    later, earlier = now + datetime.timedelta(days=9999), datetime.datetime(2001, 1, 1)
    refused("if-modified-since", "304", s3.get_object, 304, IfModifiedSince=later, **get)
    check("modified since", s3.get_object(IfModifiedSince=earlier, **get)["ContentLength"] == 10)
    refused("if-unmodified-since", "PreconditionFailed", s3.get_object, 412, IfUnmodifiedSince=earlier, **get)
    check("unmodified since", s3.get_object(IfUnmodifiedSince=later, **get)["ContentLength"] == 10)
    refused("head if-match fails", "412", s3.head_object, 412, IfMatch='"no"', **get)
    for name in ("meta", "untyped"):
        s3.delete_object(Bucket=BUCKET, Key=name)


def ranges():
    body = Pattern(3 << 20).read()
    s3.put_object(Bucket=BUCKET, Key="ranges", Body=body)
    size = len(body)
    for text, start, end in (("bytes=0-0", 0, 1), ("bytes=0-9", 0, 10), ("bytes=1048570-1048590", 1048570, 1048591),
                             ("bytes=100-", 100, size), ("bytes=-7", size - 7, size), ("bytes=-99999999", 0, size),
                             ("bytes=2097152-99999999", 2097152, size), ("bytes=%d-" % (size - 1), size - 1, size)):
        got = s3.get_object(Bucket=BUCKET, Key="ranges", Range=text)
        check(text, got["Body"].read() == body[start:end]
              and got["ContentRange"] == "bytes %d-%d/%d" % (start, end - 1, size)
              and got["ResponseMetadata"]["HTTPStatusCode"] == 206, got)
    refused("behind the end", "InvalidRange", s3.get_object, 416, Bucket=BUCKET, Key="ranges", Range="bytes=%d-" % size)
    for text in ("bytes=9-3", "lines=1-2", "bytes=0-1,4-5"):
        got = s3.get_object(Bucket=BUCKET, Key="ranges", Range=text)
        check("ignored " + text, got["ResponseMetadata"]["HTTPStatusCode"] == 200 and got["Body"].read() == body)
    s3.delete_object(Bucket=BUCKET, Key="ranges")


def conditional_put():
    """Raw requests: the boto3 of Debian 12 does not know these conditions of PutObject yet."""
    path = "/%s/once" % BUCKET

    def put(body, target=path, **condition):
        status, data = raw("PUT", target, body, headers={name.replace("_", "-"): value for name, value in condition.items()})
        return status if status == 200 else (status, data.split(b"<Code>")[1].split(b"<")[0].decode())

    check("if-none-match: *", put(b"1", If_None_Match="*") == 200)
    check("if-none-match: * on what is there", put(b"2", If_None_Match="*") == (412, "PreconditionFailed"))
    check("kept", raw("GET", path) == (200, b"1"))
    etag = s3.head_object(Bucket=BUCKET, Key="once")["ETag"]
    check("if-match", put(b"3", If_Match=etag) == 200)
    check("if-match of an old one", put(b"4", If_Match=etag) == (412, "PreconditionFailed"))
    check("if-match of nothing", put(b"4", "/%s/nothing" % BUCKET, If_Match=etag) == (404, "NoSuchKey"))
    check("kept again", raw("GET", path) == (200, b"3"))
    s3.delete_object(Bucket=BUCKET, Key="once")
    wins = []

    def put_once(number):
        if put(b"%d" % number, If_None_Match="*") == 200:
            wins.append(number)

    threads = [threading.Thread(target=put_once, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("of eight puts one wins", len(wins) == 1 and raw("GET", path) == (200, b"%d" % wins[0]), wins)
    s3.delete_object(Bucket=BUCKET, Key="once")


def delete_many():
    keys = ["many/%03d & <%d>" % (number, number) for number in range(300)]
    for key in keys[:20]:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    check("many deleted", [one["Key"] for one in answer["Deleted"]] == keys and "Errors" not in answer, answer)
    check("none is left", "Contents" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="many/"))
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "x"}, {"Key": "y", "VersionId": "v1"}], "Quiet": True})
    check("quiet", "Deleted" not in answer and [one["Code"] for one in answer["Errors"]] == ["NoSuchVersion"], answer)
    refused("more than a thousand", "MalformedXML", s3.delete_objects, 400, Bucket=BUCKET,
            Delete={"Objects": [{"Key": "k%d" % number} for number in range(1001)]})


def checksums():
    body = b"checksummed " * 10000
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        s3.put_object(Bucket=BUCKET, Key="sum", Body=body, ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")
        check("checksum " + algorithm, got["Body"].read() == body and "Checksum" + algorithm in got, got)
    for name, good in (("ChecksumCRC32", base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()),
                       ("ChecksumSHA256", base64.b64encode(hashlib.sha256(body).digest()).decode()),
                       ("ContentMD5", base64.b64encode(hashlib.md5(body).digest()).decode())):
        s3.put_object(Bucket=BUCKET, Key="sum", Body=body, **{name: good})
        refused("wrong " + name, "BadDigest", s3.put_object, 400, Bucket=BUCKET, Key="sum-wrong", Body=body + b".",
                **{name: good})
    refused("nothing came of them", "404", s3.head_object, 404, Bucket=BUCKET, Key="sum-wrong")
    refused("no MD5 at all", "InvalidDigest", s3.put_object, 400, Bucket=BUCKET, Key="sum-wrong", Body=body,
            ContentMD5="bm9uZQ==")
    s3.delete_object(Bucket=BUCKET, Key="sum")


def listings():
    keys = sorted(["d%02d/f%02d" % (d, f) for d in range(12) for f in range(15)] + ["top%d" % n for n in range(5)]
                  + ["d00", "d00.txt", "a/b/c/d", "a/b/e"])
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    for call in ("list_objects", "list_objects_v2"):
        for page in (1, 7, 100, 1000):
            found, pages = [], 0
            for answer in s3.get_paginator(call).paginate(Bucket=BUCKET, PaginationConfig={"PageSize": page}):
                found += [one["Key"] for one in answer.get("Contents", [])]
                pages += 1
            check("%s by %d" % (call, page), found == keys and pages == max(1, -(-len(keys) // page)), (len(found), pages))
            for prefix, delimiter in (("", "/"), ("d", "/"), ("a/", "/"), ("a/b/", "/"), ("d0", "0"), ("", "f0"), ("zz", "/")):
                wanted = expected(keys, prefix, delimiter)
                got = ([], [])
                for answer in s3.get_paginator(call).paginate(Bucket=BUCKET, Prefix=prefix, Delimiter=delimiter,
                                                              PaginationConfig={"PageSize": page}):
                    got[0].extend(one["Key"] for one in answer.get("Contents", []))
                    got[1].extend(one["Prefix"] for one in answer.get("CommonPrefixes", []))
                check("%s %r %r by %d" % (call, prefix, delimiter, page), got == wanted, (got, wanted))
    after = s3.list_objects_v2(Bucket=BUCKET, StartAfter="d05/f14")
    check("start-after", [one["Key"] for one in after["Contents"]] == [key for key in keys if key > "d05/f14"])
    after = s3.list_objects_v2(Bucket=BUCKET, StartAfter="d05/f03", Delimiter="/")
    check("start-after in a prefix", [one["Prefix"] for one in after["CommonPrefixes"]]
          == ["d%02d/" % d for d in range(6, 12)], after.get("CommonPrefixes"))
    none = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)
    check("max-keys 0", none["KeyCount"] == 0 and not none["IsTruncated"])
    check("owner", "Owner" in s3.list_objects_v2(Bucket=BUCKET, FetchOwner=True)["Contents"][0]
          and "Owner" not in s3.list_objects_v2(Bucket=BUCKET)["Contents"][0])
    one = s3.list_objects_v2(Bucket=BUCKET, Prefix="top1")["Contents"][0]
    check("row", one["Size"] == 4 and one["ETag"] == '"%s"' % hashlib.md5(b"top1").hexdigest()
          and one["StorageClass"] == "STANDARD", one)
    refused("token", "InvalidArgument", s3.list_objects_v2, 400, Bucket=BUCKET, ContinuationToken="!!")
    for key in keys:
        s3.delete_object(Bucket=BUCKET, Key=key)
    check("all gone", s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0)


def expected(keys, prefix, delimiter):
    plain, common = [], []
    for key in keys:
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix))
        if at < 0:
            plain.append(key)
        elif key[:at + len(delimiter)] not in common:
            common.append(key[:at + len(delimiter)])
    return plain, common


def big():
    s3.put_object(Bucket=BUCKET, Key="big", Body=Pattern(BIG), ContentLength=BIG)
    digest, size = hashlib.md5(), 0
    got = s3.get_object(Bucket=BUCKET, Key="big")
    for data in got["Body"].iter_chunks(1 << 20):
        digest.update(data)
        size += len(data)
    wanted = pattern_digest(BIG)
    check("%d bytes in one put" % BIG, size == BIG and digest.hexdigest() == wanted and got["ETag"] == '"%s"' % wanted)
    s3.delete_object(Bucket=BUCKET, Key="big")


def raw(method, path, body=b"", headers=None, access=ACCESS, secret=SECRET, sign=True, after=None, instead=None):
    """One request, signed by botocore, that may be changed after it was signed."""
    url = urllib.parse.urlsplit(ENDPOINT)
    headers = dict(headers or {})
    headers.setdefault("x-amz-content-sha256", hashlib.sha256(body).hexdigest())
    request = botocore.awsrequest.AWSRequest(method, ENDPOINT + path, headers=headers, data=body)
    if sign:
        auth = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(access, secret), "s3", REGION)
        auth.add_auth(request)
    sent = dict(request.headers.items())
    sent.update(after or {})
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    connection.request(method, path, body=body if instead is None else instead, headers=sent)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def signatures():
    path = "/%s/signed" % BUCKET
    check("raw put", raw("PUT", path, b"body")[0] == 200)
    for name, code, status, arguments in (
            ("no signature", b"AccessDenied", 403, dict(sign=False)),
            ("wrong secret", b"SignatureDoesNotMatch", 403, dict(secret="x" + SECRET)),
            ("wrong key", b"InvalidAccessKeyId", 403, dict(access="NOBODY")),
            ("header added", b"AccessDenied", 403, dict(after={"x-amz-meta-added": "1"})),
            ("date changed", b"SignatureDoesNotMatch", 403,
             dict(after={"X-Amz-Date": (datetime.datetime.utcnow() - datetime.timedelta(minutes=1)).strftime("%Y%m%dT%H%M%SZ")})),
            ("old date", b"RequestTimeTooSkewed", 403, dict(headers={}, after={
                "X-Amz-Date": "20200101T000000Z",
                "Authorization": "AWS4-HMAC-SHA256 Credential=%s/20200101/%s/s3/aws4_request, "
                                 "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=%s"
                                 % (ACCESS, REGION, "0" * 64)})),
            ("version 2", b"InvalidRequest", 400, dict(after={"Authorization": "AWS a:b"})),
            ("no scope", b"AuthorizationHeaderMalformed", 400, dict(after={"Authorization": "AWS4-HMAC-SHA256 Credential=x"}))):
        for method in ("GET", "PUT", "DELETE"):
            got, data = raw(method, path, b"evil" if method == "PUT" else b"", **arguments)
            check("%s: %s" % (name, method), got == status and code in data, (got, data))
    got, data = raw("PUT", path, b"body", instead=b"evil")
    check("body changed", got == 400 and b"XAmzContentSHA256Mismatch" in data, (got, data))
    check("still the first", raw("GET", path) == (200, b"body"))
    got, data = raw("GET", "/%s?acl" % BUCKET)
    check("not implemented", got == 501 and b"NotImplemented" in data, (got, data))
    got, data = raw("PATCH", "/%s/x" % BUCKET)
    check("method not allowed", got == 405 and b"MethodNotAllowed" in data, (got, data))
    got, data = raw("GET", "/%s/%%zz" % BUCKET)
    check("bad escape", got == 400 and b"InvalidURI" in data, (got, data))
    got, data = raw("GET", "/%s/%%FF" % BUCKET)
    check("not UTF-8", got == 400 and b"InvalidURI" in data, (got, data))
    check("deleted", raw("DELETE", path)[0] == 204)


def presigned():
    s3.put_object(Bucket=BUCKET, Key="pre signed", Body=b"by url")
    url = urllib.parse.urlsplit(s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "pre signed"}, 60))
    for change, wanted in ((lambda query: query, 200), (lambda query: query[:-1] + ("0" if query[-1] != "0" else "1"), 403),
                           (lambda query: query.replace("Expires=60", "Expires=61"), 403)):
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        connection.request("GET", url.path + "?" + change(url.query))
        answer = connection.getresponse()
        data = answer.read()
        check("presigned %d" % wanted, answer.status == wanted and (wanted != 200 or data == b"by url"), data)
    s3.delete_object(Bucket=BUCKET, Key="pre signed")


def vanished():
    """Clients that are gone with the first bytes of their request, more than the edge has places (1,024): none is kept."""
    url = urllib.parse.urlsplit(ENDPOINT)
    for _ in range(1100):
        with socket.create_connection((url.hostname, url.port), timeout=20) as one:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # the end comes in the same packet
            one.sendall(b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123")
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    try:
        connection.request("GET", "/_adrestia/health/live")
        check("alive after clients that vanished", connection.getresponse().status == 200)
    finally:
        connection.close()


def main():
    for part in (buckets, objects, odd_keys, headers, ranges, conditional_put, delete_many, checksums, listings, signatures, presigned,
                 vanished, big):
        try:
            part()
        except Exception as error:  # one part's failure does not hide the others
            check(part.__name__, False, repr(error))
    try:
        for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=one["Key"])
        s3.delete_bucket(Bucket=BUCKET)
        refused("bucket deleted", "404", s3.head_bucket, 404, Bucket=BUCKET)
    except Exception as error:
        check("cleaning up", False, repr(error))
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


sys.exit(main())
