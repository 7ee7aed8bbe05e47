/* SPDX-License-Identifier: MPL-2.0 */
/* A PKI node's adoption door: see fake_door.h. */

#include "fake_door.h"

#include "core/map_trust.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

struct fake_door {
    const adr_founding_t *founding;
    uint32_t zone;
    adr_token_t token;
    fake_door_edits_t edits;
    void *context, *router;
    pthread_t thread;
    bool stop, proved;
    int asked, made;
    adr_cert_t first;        /* whose keys used the token */
    adr_cert_t certificate;  /* what they were given */
    char endpoint[ADR_JOIN_ENDPOINTS][ADR_ENDPOINT_MAX + 1], own_endpoint[128];
};

static int64_t
s_now_ms (const fake_door_t *self)
{
    return self->edits.now_ms ? self->edits.now_ms : (int64_t) time (NULL) * 1000;
}

/* --- what is answered ----------------------------------------------------------------------------------------------- */

static void
s_make_certificate (fake_door_t *self)
{
    const adr_founded_t *authority = &self->founding->authority[self->zone];
    adr_cert_t issuer, *cert = &self->certificate;
    adr_assert (adr_cert_decode (&issuer, adr_bytes (authority->certificate, authority->certificate_size)));
    *cert = self->first;
    cert->kind = ADR_CERT_NODE;
    cert->serial = 4711 + (uint64_t) ++self->made;
    cert->issuer_serial = issuer.serial;
    cert->not_before_ms = s_now_ms (self) - 1000;
    cert->not_after_ms = s_now_ms (self) + 100000;
    if (self->edits.cert)
        self->edits.cert (cert);
    adr_cert_sign (cert, authority->keys.sign_seed);
}

static void
s_add_zone (adr_map_t *map, const adr_token_t *token)
{
    if (adr_map_zone (map, &token->zone))
        return;
    adr_map_zone_t *zone = &map->zone[map->zone_count++];
    zone->id = token->zone;
    snprintf (zone->name, sizeof zone->name, "%s", token->zone_name);
}

static adr_map_t *
s_make_map (fake_door_t *self)
{
    adr_map_t *map = adr_map_copy (self->founding->map);
    const adr_cert_t *cert = &self->certificate;
    map->node = adr_realloc (map->node, (map->node_count + 1) * sizeof *map->node);
    adr_map_node_t *node = &map->node[map->node_count++];
    *node = (adr_map_node_t){ .id = cert->node, .zone = cert->zone, .group = cert->group, .type = cert->type };
    memcpy (node->name, cert->name, sizeof node->name);
    memcpy (node->curve_key, cert->curve_key, ADR_KEY_SIZE);
    memcpy (node->sign_key, cert->sign_key, ADR_KEY_SIZE);
    node->certificate_size = adr_cert_encode (cert, node->certificate);
    memcpy (node->control, self->endpoint[0], sizeof node->control);
    memcpy (node->bulk, self->endpoint[1], sizeof node->bulk);
    memcpy (node->client, self->endpoint[2], sizeof node->client);
    memcpy (node->http, self->endpoint[3], sizeof node->http);
    if (self->edits.node)
        self->edits.node (node);
    s_add_zone (map, &self->token);
    map->epoch++;
    if (self->edits.map)
        self->edits.map (map);
    adr_map_unseal (map);
    adr_map_seal (map);
    return map;
}

static void
s_send (fake_door_t *self, zmq_msg_t *to, const adr_id_t *cluster, uint16_t kind, const ProtobufCMessage *answer)
{
    adr_buffer_t pack = { 0 };
    const adr_map_node_t *pki = adr_founding_node (self->founding, self->zone, ADR_NODE_PKI);
    adr_envelope_t envelope = { .cluster = *cluster, .sender = pki->id, .from_actor = ADR_ACTOR_CERT_SIGNER,
                                .to_actor = ADR_ACTOR_CLIENT };
    adr_pack_begin (&pack, &envelope);
    adr_pack_add (&pack, kind, answer, adr_bytes (NULL, 0));
    zmq_send (self->router, zmq_msg_data (to), zmq_msg_size (to), ZMQ_SNDMORE);
    zmq_send (self->router, pack.data, pack.size, 0);
    adr_buffer_free (&pack);
}

static void
s_make_noise (fake_door_t *self, zmq_msg_t *to, uint64_t number)
{
    Adr__JoinAnswer answer = ADR__JOIN_ANSWER__INIT;
    static const adr_id_t other = { { 9 } };
    answer.status = ADR_STATUS_DENIED;
    zmq_send (self->router, zmq_msg_data (to), zmq_msg_size (to), ZMQ_SNDMORE);
    zmq_send (self->router, "nonsense", 8, 0);
    answer.number = number;
    s_send (self, to, &other, ADR__KIND__JOIN_ANSWER, &answer.base);
    answer.number = number + 1;
    s_send (self, to, &self->token.cluster, ADR__KIND__JOIN_ANSWER, &answer.base);
    Adr__ControlAnswer control = ADR__CONTROL_ANSWER__INIT; /* looks alike, up to its text */
    control.number = number;
    control.status = ADR_STATUS_DENIED;
    s_send (self, to, &self->token.cluster, ADR__KIND__CONTROL_ANSWER, &control.base);
}

static void
s_answer_ok (fake_door_t *self, zmq_msg_t *to, Adr__JoinAnswer *answer)
{
    uint8_t certificate[ADR_CERTIFICATE_MAX];
    adr_arena_t arena;
    adr_map_t *map = s_make_map (self);
    adr_arena_init (&arena, 16 * 1024, 64 * 1024 * 1024);
    answer->map = adr_map_message (map, &arena);
    answer->certificate = adr_bytes_view (adr_bytes (certificate, adr_cert_encode (&self->certificate, certificate)));
    if (self->token.type != ADR_NODE_EDGE)
        answer->hash_key = adr_bytes_view (adr_bytes (self->founding->hash_key, 32));
    if (self->edits.answer)
        self->edits.answer (answer);
    s_send (self, to, &self->token.cluster, ADR__KIND__JOIN_ANSWER, &answer->base);
    adr_arena_free (&arena);
    adr_map_destroy (&map);
}

static void
s_refuse (fake_door_t *self, zmq_msg_t *to, Adr__JoinAnswer *answer, adr_status_t status, const char *text)
{
    answer->status = status;
    answer->text = (char *) text;
    s_send (self, to, &self->token.cluster, ADR__KIND__JOIN_ANSWER, &answer->base);
}

/* --- what comes ------------------------------------------------------------------------------------------------------ */

static bool
s_is_proved (fake_door_t *self, const Adr__Join *join, adr_cert_t *request)
{
    uint8_t key[ADR_KEY_SIZE];
    const char *const endpoints[ADR_JOIN_ENDPOINTS] = { join->control, join->bulk, join->client, join->http };
    adr_bytes_t bytes = adr_bytes (join->request.data, join->request.len);
    adr_token_public (&self->token, key);
    for (int i = 0; i < ADR_JOIN_ENDPOINTS && !self->made; i++) /* what the registry has stays */
        snprintf (self->endpoint[i], sizeof self->endpoint[i], "%s", endpoints[i]);
    return join->token_key.len == sizeof key && memcmp (join->token_key.data, key, sizeof key) == 0
           && join->signature.len == ADR_SIGNATURE_SIZE
           && adr_token_join_signed (key, &self->token.cluster, bytes, endpoints, join->incarnation, join->signature.data)
           && adr_cert_decode (request, bytes) && request->kind == ADR_CERT_REQUEST && adr_cert_signed_by (request, request->sign_key)
           && adr_id_equal (&request->zone, &self->token.zone) && adr_id_equal (&request->group, &self->token.group)
           && request->type == self->token.type && strcmp (request->name, self->token.node_name) == 0;
}

static void
s_on_join (fake_door_t *self, zmq_msg_t *to, const Adr__Join *join)
{
    Adr__JoinAnswer answer = ADR__JOIN_ANSWER__INIT;
    adr_cert_t request;
    answer.number = join->number;
    self->proved = s_is_proved (self, join, &request);
    __atomic_add_fetch (&self->asked, 1, __ATOMIC_SEQ_CST);
    if (self->edits.silent)
        return;
    if (self->edits.noisy)
        s_make_noise (self, to, join->number);
    if (self->edits.passing > 0) {
        self->edits.passing--;
        s_refuse (self, to, &answer, ADR_STATUS_REFUSED, "busy");
    } else if (self->edits.status)
        s_refuse (self, to, &answer, self->edits.status, self->edits.text);
    else if (!self->proved)
        s_refuse (self, to, &answer, ADR_STATUS_DENIED, "unknown token");
    else if (self->made && (memcmp (self->first.curve_key, request.curve_key, ADR_KEY_SIZE) != 0
                            || !adr_id_equal (&self->first.node, &request.node)))
        s_refuse (self, to, &answer, ADR_STATUS_DENIED, "used");
    else {
        if (!self->made) {
            self->first = request;
            s_make_certificate (self);
        }
        s_answer_ok (self, to, &answer);
    }
}

static void
s_on_pack (fake_door_t *self, zmq_msg_t *to, adr_bytes_t pack)
{
    adr_pack_reader_t reader;
    adr_item_t item;
    adr_arena_t arena;
    adr_arena_init (&arena, 4096, 1024 * 1024);
    if (adr_pack_open (&reader, pack) && reader.envelope.to_actor == ADR_ACTOR_CERT_SIGNER
        && reader.envelope.from_actor == ADR_ACTOR_CLIENT && adr_id_is_none (&reader.envelope.to)
        && adr_id_equal (&reader.envelope.cluster, &self->token.cluster) && adr_pack_next (&reader, &item) == 1
        && item.kind == ADR__KIND__JOIN) {
        const Adr__Join *join = (const Adr__Join *) adr_header_decode (&item, &arena);
        if (join)
            s_on_join (self, to, join);
    }
    adr_arena_free (&arena);
}

static void *
s_thread (void *argument)
{
    fake_door_t *self = argument;
    while (!__atomic_load_n (&self->stop, __ATOMIC_ACQUIRE)) {
        zmq_pollitem_t item = { .socket = self->router, .events = ZMQ_POLLIN };
        if (zmq_poll (&item, 1, 5) <= 0)
            continue;
        zmq_msg_t to, message;
        zmq_msg_init (&to);
        zmq_msg_init (&message);
        if (zmq_msg_recv (&to, self->router, 0) >= 0 && zmq_msg_recv (&message, self->router, 0) >= 0)
            s_on_pack (self, &to, adr_bytes (zmq_msg_data (&message), zmq_msg_size (&message)));
        zmq_msg_close (&to);
        zmq_msg_close (&message);
    }
    return NULL;
}

fake_door_t *
fake_door_new (const adr_founding_t *founding, uint32_t zone, const adr_token_t *token)
{
    fake_door_t *self = adr_alloc (sizeof *self);
    size_t size = sizeof self->own_endpoint;
    int one = 1, zero = 0;
    self->founding = founding;
    self->zone = zone;
    self->token = *token;
    self->context = zmq_ctx_new ();
    self->router = zmq_socket (self->context, ZMQ_ROUTER);
    adr_assert (self->router);
    zmq_setsockopt (self->router, ZMQ_CURVE_SERVER, &one, sizeof one);
    zmq_setsockopt (self->router, ZMQ_CURVE_SECRETKEY, founding->node[zone][ADR_NODE_PKI - 1].keys.curve_secret, 32);
    zmq_setsockopt (self->router, ZMQ_LINGER, &zero, sizeof zero);
    int rc = zmq_bind (self->router, "tcp://127.0.0.1:*");
    adr_assert (rc == 0);
    zmq_getsockopt (self->router, ZMQ_LAST_ENDPOINT, self->own_endpoint, &size);
    rc = pthread_create (&self->thread, NULL, s_thread, self);
    adr_assert (rc == 0);
    return self;
}

void
fake_door_destroy (fake_door_t **self_p)
{
    fake_door_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    __atomic_store_n (&self->stop, true, __ATOMIC_RELEASE);
    pthread_join (self->thread, NULL);
    zmq_close (self->router);
    zmq_ctx_term (self->context);
    free (self);
}

void
fake_door_edit (fake_door_t *self, const fake_door_edits_t *edits)
{
    self->edits = *edits;
}

const char *
fake_door_endpoint (const fake_door_t *self)
{
    return self->own_endpoint;
}

int
fake_door_asked (const fake_door_t *self)
{
    return __atomic_load_n (&self->asked, __ATOMIC_SEQ_CST);
}

int
fake_door_signed (const fake_door_t *self)
{
    return self->made;
}

bool
fake_door_proved (const fake_door_t *self)
{
    return self->proved;
}
