#!/bin/bash
# SPDX-License-Identifier: MPL-2.0
# What `make installcheck` runs, and with it `make distcheck`: every program that was installed starts, and a small
# program compiles and links against the library by what pkg-config says alone. DESTDIR is honoured.
set -euo pipefail
: "${bindir:?}" "${libdir:?}" "${pkgdatadir:?}" "${top_srcdir:=.}"
DESTDIR=${DESTDIR:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export LD_LIBRARY_PATH=$DESTDIR$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PKG_CONFIG_PATH=$DESTDIR$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DESTDIR

"$DESTDIR$bindir/adrestiad" --version
"$DESTDIR$bindir/adrestia" --help >"$folder/help"
"$DESTDIR$bindir/adrestia-lab" --help >"$folder/help"
[[ -r $DESTDIR$pkgdatadir/adrestia.yaml ]]

read -r -a flags <<<"${CFLAGS:-} $(pkg-config --cflags libadrestia)"
read -r -a libraries <<<"$(pkg-config --libs libadrestia)"
read -r -a compile <<<"${CC:-cc}"
for program in kv_counter object_copy; do
    "${compile[@]}" "${flags[@]}" -o "$folder/$program" "$top_srcdir/examples/$program.c" "${libraries[@]}" -pthread
    code=0
    "$folder/$program" >"$folder/said" 2>&1 || code=$?
    if ((code > 125)) || ! ldd "$folder/$program" | grep -q "libadrestia.*=> $DESTDIR$libdir"; then
        echo "$program does not run against the installed library (exit code $code):"
        cat "$folder/said"
        exit 1
    fi
done
echo "programs start, and others link against the library"
