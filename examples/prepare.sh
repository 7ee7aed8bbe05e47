# shellcheck shell=bash
# SPDX-License-Identifier: MPL-2.0
# What quickstart and tests/run share: the packages of a bare Debian 12, the build, and lines that tell what goes on.
# To be sourced; sets `top`, the source tree.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# shellcheck disable=SC2034 # used by who sources this
readonly BUILD_PACKAGES=(gcc make autoconf automake libtool pkg-config libc6-dev libczmq-dev libzmq3-dev libsodium-dev
    liblmdb-dev libyaml-dev libprotobuf-c-dev protobuf-c-compiler libmicrohttpd-dev libgnutls28-dev
    libxml2-dev libjansson-dev libedit-dev curl)
# shellcheck disable=SC2034
readonly TEST_PACKAGES=(libcmocka-dev clang python3 python3-boto3 s3cmd)

now_ms() {
    local seconds=${EPOCHREALTIME%[.,]*} micros=${EPOCHREALTIME#*[.,]}
    echo $((seconds * 1000 + 10#$micros / 1000))
}

STARTED_MS=$(now_ms)

# A progress line with the time since the start.
say() {
    local ms=$(($(now_ms) - STARTED_MS))
    printf '[%4d.%d s] %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*"
}

# The named packages that are not installed.
missing_packages() {
    local name
    for name in "$@"; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
    done
}

# Installs what is missing as root; as anybody else says the one line that does it.
prepare_packages() {
    local -a missing
    mapfile -t missing < <(missing_packages "$@")
    if ((${#missing[@]} == 0)); then
        say "packages: all there"
        return
    fi
    if ((EUID != 0)); then
        echo "These packages are missing; as root, run this line, then try again:"
        echo "apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
        exit 1
    fi
    say "packages: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    quietly packages apt-get -q update
    quietly packages apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "${missing[@]}"
    say "packages: installed"
}

# Runs a command with its output in a file; shows the end of it when the command fails.
quietly() {
    local log code=0
    log=$(mktemp "${TMPDIR:-/tmp}/adrestia-$1.XXXXXX")
    shift
    "$@" </dev/null >"$log" 2>&1 || code=$?
    if ((code)); then
        tail -n 60 "$log" >&2
        echo "FAILED ($code): $*" >&2
        echo "the whole output: $log" >&2
        exit "$code"
    fi
    rm -f "$log"
}

# prepare_build FOLDER TARGET...: configures where needed, and builds; incremental. One at a time: two that run side by
# side share the folder.
prepare_build() {
    local folder=$1 compiler=gcc
    shift
    mkdir -p "$folder"
    exec 7<"$top"
    flock 7
    if [[ ! -x $top/configure || $top/configure.ac -nt $top/configure || $top/Makefile.am -nt $top/Makefile.in ]]; then
        say "build: autoreconf"
        (cd "$top" && mkdir -p m4 build-aux && quietly autoreconf autoreconf -fi)
    fi
    if [[ ! -e $folder/config.status || $top/configure -nt $folder/config.status ]]; then
        say "build: configure ${CONFIGURE_OPTIONS[*]:-}"
        if command -v ccache >/dev/null; then compiler="ccache gcc"; fi
        (cd "$folder" && quietly configure "$top/configure" CC="$compiler" "${CONFIGURE_OPTIONS[@]}")
    fi
    say "build: make $*"
    quietly make make -C "$folder" -j "$(nproc)" "$@"
    exec 7<&-
    say "build: done in ${folder#"$top"/}"
}
