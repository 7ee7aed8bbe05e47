/* SPDX-License-Identifier: MPL-2.0 */
/* The state environment in the simulator: names and values; a commit is whole or is not. */

#include "disk.h"
#include "disk_parts.h"

#include <errno.h>
#include <stdlib.h>

static sim_disk_t *
s_disk (adr_state_t *face)
{
    return (sim_disk_t *) ((char *) face - offsetof (sim_disk_t, state));
}

static sim_state_row_t *
s_find (sim_disk_t *self, const char *name)
{
    for (uint32_t i = 0; i < self->state_count; i++)
        if (strcmp (self->state_row[i].name, name) == 0)
            return &self->state_row[i];
    return NULL;
}

static int
s_get (adr_state_t *face, const char *name, void *value, size_t room)
{
    sim_state_row_t *row = s_find (s_disk (face), name);
    if (!row)
        return -1;
    if (row->unreadable)
        return -2;
    memcpy (value, row->value, row->size < room ? row->size : room);
    return (int) row->size;
}

int
sim_state_get (void *state, const char *name, void *value, size_t room)
{
    int size = s_get (state, name, value, room);
    adr_assert (size != -2); /* src/runtime/node.c would stop the process: a store's opening lets no such value stay */
    return size;
}

static void
s_put_one (sim_disk_t *self, const adr_state_put_t *put)
{
    sim_state_row_t *row = s_find (self, put->name);
    if (!row) {
        adr_assert (self->state_count < SIM_STATE_NAMES_MAX && strlen (put->name) < sizeof row->name);
        row = &self->state_row[self->state_count++];
        memset (row, 0, sizeof *row);
        strcpy (row->name, put->name);
    }
    row->value = adr_realloc (row->value, put->value.size + 1);
    if (put->value.size)
        memcpy (row->value, put->value.data, put->value.size);
    row->size = put->value.size;
    row->unreadable = false;
}

static int
s_put (adr_state_t *face, const adr_state_put_t *puts, size_t count)
{
    sim_disk_t *self = s_disk (face);
    bool alive = sim_disk_alive (self);
    if (!alive && adr_random_next (&self->random) % 2)
        return EIO;
    for (size_t i = 0; i < count; i++)
        s_put_one (self, &puts[i]);
    return alive ? 0 : EIO;
}

void
sim_state_init (sim_disk_t *self)
{
    self->state = (adr_state_t){ .get = s_get, .put = s_put };
}

static void
s_forget_copy (sim_disk_t *self)
{
    for (uint32_t i = 0; i < self->old_state_count; i++)
        free (self->old_state_row[i].value);
    free (self->old_state_row);
    self->old_state_row = NULL;
    self->old_state_count = 0;
}

static void
s_clear_rows (sim_disk_t *self)
{
    for (uint32_t i = 0; i < self->state_count; i++)
        free (self->state_row[i].value);
    self->state_count = 0;
}

void
sim_state_clear (sim_disk_t *self)
{
    s_clear_rows (self);
    s_forget_copy (self);
}

void
sim_disk_lose_state (sim_disk_t *self, bool unreadable)
{
    if (!unreadable)
        sim_state_clear (self);
    /* One value, or all of them. */
    uint64_t only = adr_random_next (&self->random) % (2 * self->state_count + 1);
    for (uint32_t i = 0; i < self->state_count; i++)
        self->state_row[i].unreadable = i == only || only >= self->state_count;
    self->harm |= SIM_HARM_STATE;
}

void
sim_disk_copy_state (sim_disk_t *self)
{
    s_forget_copy (self);
    self->old_state_count = self->state_count;
    self->old_state_row = adr_alloc ((self->state_count + 1) * sizeof *self->old_state_row);
    for (uint32_t i = 0; i < self->state_count; i++) {
        sim_state_row_t *row = &self->old_state_row[i];
        *row = self->state_row[i];
        row->value = adr_alloc (row->size + 1);
        memcpy (row->value, self->state_row[i].value, row->size);
    }
}

void
sim_disk_restore_state (sim_disk_t *self)
{
    s_clear_rows (self);
    memcpy (self->state_row, self->old_state_row, self->old_state_count * sizeof *self->state_row);
    self->state_count = self->old_state_count;
    self->old_state_count = 0; /* the values are the rows' now */
    s_forget_copy (self);
    self->harm |= SIM_HARM_OLD_STATE;
}
