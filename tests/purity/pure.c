/* SPDX-License-Identifier: MPL-2.0 */
/* A program of nothing but the pure libraries, whole: that it links against protobuf-c, libsodium and the C library alone
 * is what tests/purity/check.sh wants to see. */

int
main (void)
{
    return 0;
}
