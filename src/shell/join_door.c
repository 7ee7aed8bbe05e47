/* SPDX-License-Identifier: MPL-2.0 */
/* One question through one adoption door: a CURVE connection to the key that the token pins, one JOIN, one answer. See join.h.
 *
 * Owns: a context and a DEALER for the time of the question. Makes durable: nothing. */

#include "shell/join.h"

#include "runtime/clock.h"
#include "runtime/socket.h"
#include "wire/map_codec.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <zmq.h>

#define S_CONNECT_NS (3000 * ADR_MS)  /* a handshake across an ocean takes under a second */
#define S_ANSWER_NS (15000 * ADR_MS)  /* a PKI node gives up after 10 s, and says so */
#define S_ARENA_LIMIT (64 * 1024 * 1024)
#define S_HIGH_WATER 16

static bool ADR_PRINTF (2, 3)
s_fail (adr_join_answer_t *answer, const char *format, ...)
{
    va_list arguments;
    va_start (arguments, format);
    vsnprintf (answer->text, sizeof answer->text, format, arguments);
    va_end (arguments);
    return false;
}

/* --- the socket --------------------------------------------------------------------------------------------------- */

static void *
s_connect (void *context, const adr_join_ask_t *ask, const adr_token_door_t *door, adr_join_answer_t *answer)
{
    const adr_keys_t *keys = &ask->identity->keys;
    uint8_t public_key[ADR_KEY_SIZE];
    adr_keys_public (keys, public_key, NULL);
    const adr_socket_options_t options = { .role = ADR_SOCKET_DEALER, .secret_key = keys->curve_secret, .public_key = public_key,
                                           .server_key = door->curve_key, .high_water = S_HIGH_WATER };
    void *socket = adr_socket_new (context, &options);
    if (socket == NULL)
        s_fail (answer, "no socket: %s", zmq_strerror (errno));
    else if (zmq_connect (socket, door->endpoint) != 0) {
        s_fail (answer, "%s", zmq_strerror (errno));
        adr_socket_destroy (&socket);
    }
    return socket;
}

/* Waits until the socket can be written or read; false: not until then. */
static bool
s_wait (void *socket, short events, int64_t until_ns)
{
    for (;;) {
        int64_t left_ns = until_ns - adr_clock_now_ns ();
        if (left_ns <= 0)
            return false;
        zmq_pollitem_t item = { .socket = socket, .events = events };
        if (zmq_poll (&item, 1, (long) (left_ns / ADR_MS) + 1) > 0)
            return true;
    }
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static size_t
s_make_request (const adr_join_ask_t *ask, uint8_t at[ADR_CERTIFICATE_MAX])
{
    const adr_token_t *token = ask->token;
    adr_cert_t request = { .kind = ADR_CERT_REQUEST, .type = token->type, .cluster = token->cluster, .zone = token->zone,
                           .node = ask->identity->node, .group = token->group };
    memcpy (request.name, token->node_name, sizeof request.name);
    adr_keys_public (&ask->identity->keys, request.curve_key, request.sign_key);
    adr_cert_sign (&request, ask->identity->keys.sign_seed);
    return adr_cert_encode (&request, at);
}

static void
s_make_pack (const adr_join_ask_t *ask, uint64_t number, adr_buffer_t *pack)
{
    uint8_t request[ADR_CERTIFICATE_MAX], token_key[ADR_KEY_SIZE], signature[ADR_SIGNATURE_SIZE];
    adr_bytes_t request_bytes = adr_bytes (request, s_make_request (ask, request));
    adr_envelope_t envelope = { .cluster = ask->token->cluster, .sender = ask->identity->node, .from_actor = ADR_ACTOR_CLIENT,
                                .to_actor = ADR_ACTOR_CERT_SIGNER, .boot = number };
    adr_token_public (ask->token, token_key);
    adr_token_sign_join (ask->token, request_bytes, ask->endpoint, ask->identity->incarnation, signature);
    Adr__Join join = ADR__JOIN__INIT;
    join.number = number;
    join.token_key = adr_bytes_view (adr_bytes (token_key, sizeof token_key));
    join.request = adr_bytes_view (request_bytes);
    join.signature = adr_bytes_view (adr_bytes (signature, sizeof signature));
    join.control = (char *) ask->endpoint[0];
    join.bulk = (char *) ask->endpoint[1];
    join.client = (char *) ask->endpoint[2];
    join.http = (char *) ask->endpoint[3];
    join.incarnation = ask->identity->incarnation;
    join.authority = adr_bytes_view (ask->authority);
    adr_pack_begin (pack, &envelope);
    adr_pack_add (pack, ADR__KIND__JOIN, &join.base, adr_bytes (NULL, 0));
    adr_pack_number (pack, 1, 0);
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

/* It goes to a terminal: printable ASCII only. */
static void
s_take_text (adr_join_answer_t *answer, const char *text)
{
    snprintf (answer->text, sizeof answer->text, "%s", *text ? text : adr_status_name (answer->status));
    for (char *at = answer->text; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

static void
s_take_answer (adr_join_answer_t *answer, const Adr__JoinAnswer *from)
{
    answer->status = (adr_status_t) from->status; /* within its range, says the decoder; and these sizes */
    s_take_text (answer, from->text);
    answer->certificate_size = from->certificate.len;
    if (from->certificate.len)
        memcpy (answer->certificate, from->certificate.data, from->certificate.len);
    answer->has_hash_key = from->hash_key.len == sizeof answer->hash_key;
    if (answer->has_hash_key)
        memcpy (answer->hash_key, from->hash_key.data, sizeof answer->hash_key);
    answer->has_sealing_key = from->sealing_key.len == sizeof answer->sealing_key;
    if (answer->has_sealing_key)
        memcpy (answer->sealing_key, from->sealing_key.data, from->sealing_key.len);
    answer->map = from->map ? adr_map_read (from->map) : NULL;
}

/* True if the answer to this number was in the pack. */
static bool
s_read_pack (adr_bytes_t pack, const adr_id_t *cluster, uint64_t number, adr_arena_t *arena, adr_join_answer_t *answer)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    if (!adr_pack_open (&reader, pack) || !adr_id_equal (&reader.envelope.cluster, cluster))
        return false;
    while (adr_pack_next (&reader, &item) == 1) {
        adr_arena_reset (arena);
        if (item.kind != ADR__KIND__JOIN_ANSWER)
            continue;
        const Adr__JoinAnswer *from = (const Adr__JoinAnswer *) adr_header_decode (&item, arena);
        if (from && from->number == number) {
            s_take_answer (answer, from);
            return true;
        }
    }
    return false;
}

/* One message, whole; true if the answer was in it. */
static bool
s_receive (void *socket, const adr_id_t *cluster, uint64_t number, adr_join_answer_t *answer)
{
    zmq_msg_t message;
    adr_arena_t arena;
    bool found = false;
    zmq_msg_init (&message);
    if (zmq_msg_recv (&message, socket, ZMQ_DONTWAIT) >= 0) {
        adr_arena_init (&arena, 16 * 1024, S_ARENA_LIMIT);
        found = s_read_pack (adr_bytes (zmq_msg_data (&message), zmq_msg_size (&message)), cluster, number, &arena, answer);
        adr_arena_free (&arena);
    }
    zmq_msg_close (&message);
    return found;
}

static int64_t
s_soonest (int64_t until_ns, int64_t within_ns)
{
    int64_t then_ns = adr_clock_now_ns () + within_ns;
    return then_ns < until_ns ? then_ns : until_ns;
}

static bool
s_exchange (void *socket, const adr_join_ask_t *ask, int64_t until_ns, adr_join_answer_t *answer)
{
    uint64_t number;
    adr_buffer_t pack = { 0 };
    if (!s_wait (socket, ZMQ_POLLOUT, s_soonest (until_ns, S_CONNECT_NS)))
        return s_fail (answer, "no connection: is it up, and is its key still the token's?");
    randombytes_buf (&number, sizeof number);
    number >>= 1; /* readers have signed numbers, too */
    s_make_pack (ask, number, &pack);
    bool sent = zmq_send (socket, pack.data, pack.size, ZMQ_DONTWAIT) == (int) pack.size;
    adr_buffer_free (&pack);
    if (!sent)
        return s_fail (answer, "the connection was lost");
    int64_t answer_ns = s_soonest (until_ns, S_ANSWER_NS);
    while (s_wait (socket, ZMQ_POLLIN, answer_ns))
        if (s_receive (socket, &ask->token->cluster, number, answer))
            return true;
    return s_fail (answer, "no answer");
}

bool
adr_join_ask (const adr_join_ask_t *ask, const adr_token_door_t *door, int64_t until_ns, adr_join_answer_t *answer)
{
    *answer = (adr_join_answer_t){ 0 };
    void *context = zmq_ctx_new ();
    if (context == NULL)
        return s_fail (answer, "no sockets: %s", zmq_strerror (errno));
    void *socket = s_connect (context, ask, door, answer);
    bool answered = socket && s_exchange (socket, ask, until_ns, answer);
    adr_socket_destroy (&socket);
    zmq_ctx_term (context);
    return answered;
}

void
adr_join_answer_free (adr_join_answer_t *answer)
{
    adr_map_destroy (&answer->map);
    sodium_memzero (answer, sizeof *answer);
}
