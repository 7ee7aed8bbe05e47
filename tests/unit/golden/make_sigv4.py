#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Makes sigv4.txt: requests signed by botocore, for tests/unit/test_sigv4.c. No network is used.

    python3 tests/unit/golden/make_sigv4.py > tests/unit/golden/sigv4.txt

A case is lines "case NAME", "method M", "target T", "header NAME VALUE" (again and again), "signature S", "end".
Targets and values are printable; all are signed with key AKIDEXAMPLE, secret SECRET, region us-east-1, at TIME."""

import datetime
import types
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TIME = datetime.datetime(2015, 8, 30, 12, 36, 0, tzinfo=datetime.timezone.utc)


class Clock(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return TIME.replace(tzinfo=None)

    @classmethod
    def now(cls, tz=None):
        return TIME


botocore.auth.datetime = types.SimpleNamespace(datetime=Clock, timezone=datetime.timezone, timedelta=datetime.timedelta)
if hasattr(botocore.auth, "get_current_datetime"):
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: TIME.replace(tzinfo=None)

KEYS = ["plain", "a/b/c", "a//b", "..", "./x", "with space", "plus+plus", "per%cent", "%2F", "tilde~", "ümlaut", "🚀",
        "quote'\"", "<x>&y", "semi;colon", "star*", "=", "@", "[b]{c}|^`", "new\nline", "$", ",", "!(a)"]
QUERIES = [[], [("list-type", "2")], [("prefix", "a b+c/d"), ("delimiter", "/"), ("list-type", "2")],
           [("location", "")], [("b", "2"), ("a", "1"), ("a-b", "3"), ("a.b", "4"), ("A", "5")], [("marker", "ü&=?%")]]
HEADERS = [{}, {"X-Amz-Meta-B": "two  blanks", "X-Amz-Meta-A": "  trimmed  "}, {"Range": "bytes=0-9"},
           {"Content-Type": "text/plain; charset=x", "X-Amz-Acl": "private"}, {"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}]


def case(name, method, key, query, headers):
    path = "/" + urllib.parse.quote(key, safe="/~") if key is not None else "/"
    text = "&".join("%s=%s" % (urllib.parse.quote(n, safe="~"), urllib.parse.quote(v, safe="~")) for n, v in query)
    target = path + ("?" + text if text else "")
    request = botocore.awsrequest.AWSRequest(method, "http://bucket.example.com" + target, headers=dict(headers))
    auth = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials("AKIDEXAMPLE", SECRET), "s3", "us-east-1")
    auth.add_auth(request)
    print("case %s" % name)
    print("method %s" % method)
    print("target %s" % target)
    print("header Host bucket.example.com")
    for header, value in request.headers.items():
        print("header %s %s" % (header, value))
    print("signature %s" % request.headers["Authorization"].rsplit("=", 1)[1])
    print("end")


def main():
    for number, key in enumerate(KEYS):
        case("key-%d" % number, "GET", "bucket/" + key, [], {})
    for number, query in enumerate(QUERIES):
        case("query-%d" % number, "GET", "bucket", query, {})
    for number, headers in enumerate(HEADERS):
        case("headers-%d" % number, "PUT", "bucket/key", [], headers)
    case("root", "GET", None, [], {})
    for method in ("HEAD", "DELETE", "POST"):
        case(method, method, "bucket/key", [("x", "y z")], {"X-Amz-Meta-C": "1"})


main()
