/* SPDX-License-Identifier: MPL-2.0 */
/* Is an index file's structure sound? LMDB believes every page: one flipped bit can end the process in it, lead it past rows,
 * or have it write over pages that are in use. So the file is read here by other eyes, which follow nothing unchecked.
 *
 * Owns: nothing. Makes durable: nothing. Assumes: nobody writes to the file meanwhile. Implements STORE-10 for what is no
 * value: those have checksums of their own.
 *
 * The format is LMDB's data version 1 (lmdb 0.9) on 64 bits, little-endian. Checked is all that LMDB relies on:
 *
 *     meta     which of the two counts, page size, flags, the last page
 *     tree     each page of one kind, at its own number, used once; of one depth; as many pages and entries as it is said
 *     page     nodes that fill its used part exactly, without gaps or overlaps
 *     keys     ascending over all leaves, and between the keys of the branches
 *     free     pages that are in no tree, once, descending in each list */

#include "store/index_lmdb.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert (sizeof (size_t) == 8 && __BYTE_ORDER == __LITTLE_ENDIAN, "the format that is checked");

#define S_PAGE_HEADER 16
#define S_NODE_HEADER 8
#define S_META_COUNT 2
#define S_META_SIZE 136
#define S_META_MAGIC 0xbeefc0de
#define S_META_VERSION 1
#define S_TREE_SIZE 48
#define S_NO_PAGE UINT64_MAX
#define S_PAGE_SIZE_MIN 512
#define S_PAGE_SIZE_MAX 32768
#define S_DEPTH_MAX 32 /* LMDB's own */
#define S_KEY_MAX 511
/* Pages behind the file's end: LMDB never writes those that it gave up in the transaction that took them. 256 MiB. */
#define S_UNWRITTEN_MAX 65536
#define S_FREE_FLAGS (MDB_NOSUBDIR | MDB_INTEGERKEY) /* the environment's flags stand there, too */

enum { S_BRANCH = 0x01, S_LEAF = 0x02, S_OVERFLOW = 0x04, S_META = 0x08 };           /* of a page */
enum { S_NODE_BIG = 0x01, S_NODE_TREE = 0x02 };                                      /* of a leaf's node */
typedef enum { S_TREE_FREE, S_TREE_MAIN, S_TREE_NAMED } s_kind_t;

/* What a tree's record says of it, or what a walk has counted. */
typedef struct {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
} s_tree_t;

typedef struct {
    int file;
    size_t page_size;
    uint64_t page_count; /* that may be in use */
    uint64_t transaction;
    uint8_t *seen;       /* a bit for each page: in a tree, or free */
    uint8_t *page;       /* room for one of each depth, and one for an overflow page's header */
    s_kind_t kind;       /* of the tree that is walked */
    s_tree_t counted;
    s_tree_t named[ADR_INDEX_TREE_COUNT]; /* trees that the main one has named */
    size_t named_count;
    uint8_t before[S_KEY_MAX]; /* the key before, in the order of the walk */
    size_t before_size;
    bool has_before, may_equal; /* a branch's key may be that of the leaf's first node */
} s_check_t;

typedef struct {
    const uint8_t *page;
    size_t count, upper;
    bool is_leaf;
} s_page_t;

typedef struct {
    adr_bytes_t key;
    uint16_t flags;
    uint64_t number; /* of a branch: the page below; of a leaf: its value's size */
    const uint8_t *value;
} s_node_t;

/* --- pages ------------------------------------------------------------------------------------------------------ */

static bool
s_read (const s_check_t *self, uint64_t number, void *page)
{
    return pread (self->file, page, self->page_size, (off_t) (number * self->page_size)) == (ssize_t) self->page_size;
}

/* False if it is out of bounds, or used twice. */
static bool
s_take (s_check_t *self, uint64_t number)
{
    if (number < S_META_COUNT || number >= self->page_count || self->seen[number / 8] >> number % 8 & 1)
        return false;
    self->seen[number / 8] |= (uint8_t) (1 << number % 8);
    return true;
}

/* The size that a node keeps of its page; 0 if it does not lie in it. */
static size_t
s_node (const s_check_t *self, const s_page_t *page, size_t at, s_node_t *node)
{
    size_t offset = adr_get_u16 (page->page + S_PAGE_HEADER + 2 * at);
    if (offset % 2 || offset < page->upper || offset + S_NODE_HEADER > self->page_size)
        return 0;
    const uint8_t *bytes = page->page + offset;
    size_t room = self->page_size - offset - S_NODE_HEADER, key_size = adr_get_u16 (bytes + 6), value_size = 0;
    *node = (s_node_t){ .flags = adr_get_u16 (bytes + 4), .number = adr_get_u32 (bytes) };
    if (page->is_leaf)
        value_size = node->flags & S_NODE_BIG ? sizeof (uint64_t) : (size_t) node->number;
    else
        node->number |= (uint64_t) node->flags << 32;
    if (key_size > S_KEY_MAX || key_size > room || value_size > room - key_size)
        return 0;
    node->key = adr_bytes (bytes + S_NODE_HEADER, key_size);
    node->value = bytes + S_NODE_HEADER + key_size;
    size_t size = S_NODE_HEADER + key_size + value_size;
    return size + size % 2;
}

/* True if the nodes fill the page from `upper` to its end, each byte once. */
static bool
s_nodes_fit (const s_check_t *self, const s_page_t *page)
{
    uint8_t used[S_PAGE_SIZE_MAX];
    size_t all = 0;
    memset (used, 0, self->page_size);
    for (size_t i = 0; i < page->count; i++) {
        s_node_t node;
        size_t size = s_node (self, page, i, &node), offset = adr_get_u16 (page->page + S_PAGE_HEADER + 2 * i);
        if (size == 0 || size > self->page_size - offset || memchr (used + offset, 1, size))
            return false;
        memset (used + offset, 1, size);
        all += size;
    }
    return all == self->page_size - page->upper;
}

static bool
s_page (s_check_t *self, uint64_t number, uint32_t depth, s_page_t *page)
{
    uint8_t *bytes = self->page + depth * self->page_size;
    if (!s_take (self, number) || !s_read (self, number, bytes) || adr_get_u64 (bytes) != number)
        return false;
    uint16_t flags = adr_get_u16 (bytes + 10);
    size_t lower = adr_get_u16 (bytes + 12), upper = adr_get_u16 (bytes + 14);
    *page = (s_page_t){ .page = bytes, .upper = upper, .is_leaf = flags == S_LEAF };
    if ((flags != S_LEAF && flags != S_BRANCH) || lower < S_PAGE_HEADER || lower % 2 || lower > upper
        || upper > self->page_size)
        return false;
    page->count = (lower - S_PAGE_HEADER) / 2;
    /* In the free pages' own tree LMDB leaves branches with a single page now and then. */
    size_t least = flags == S_LEAF || self->kind == S_TREE_FREE ? 1 : 2;
    return page->count >= least && s_nodes_fit (self, page);
}

/* --- keys ------------------------------------------------------------------------------------------------------- */

static int
s_compare (const s_check_t *self, adr_bytes_t a, adr_bytes_t b)
{
    if (self->kind != S_TREE_FREE)
        return adr_bytes_compare (a, b);
    uint64_t x = adr_get_u64 (a.data), y = adr_get_u64 (b.data);
    return x < y ? -1 : x > y;
}

/* The next key of the walk: of a leaf, or a branch's, which is not above what stands below it. */
static bool
s_ascends (s_check_t *self, adr_bytes_t key, bool is_leaf)
{
    if (key.size == 0 || (self->kind == S_TREE_FREE && key.size != sizeof (uint64_t)))
        return false;
    int order = self->has_before ? s_compare (self, adr_bytes (self->before, self->before_size), key) : -1;
    if (order > 0 || (order == 0 && !(is_leaf && self->may_equal)))
        return false;
    memcpy (self->before, key.data, key.size);
    self->before_size = key.size;
    self->has_before = true;
    self->may_equal = !is_leaf;
    return true;
}

/* --- values ----------------------------------------------------------------------------------------------------- */

static s_tree_t
s_tree_get (const uint8_t at[S_TREE_SIZE])
{
    return (s_tree_t){ adr_get_u32 (at), adr_get_u16 (at + 4), adr_get_u16 (at + 6), adr_get_u64 (at + 8),
                       adr_get_u64 (at + 16), adr_get_u64 (at + 24), adr_get_u64 (at + 32), adr_get_u64 (at + 40) };
}

static bool
s_is_named_tree (s_check_t *self, const s_node_t *node)
{
    static const char *const s_name[] = ADR_INDEX_TREES;
    if (self->named_count == ADR_INDEX_TREE_COUNT || node->flags != S_NODE_TREE || node->number != S_TREE_SIZE
        || !adr_bytes_equal (node->key, adr_bytes (s_name[self->named_count], strlen (s_name[self->named_count]))))
        return false;
    self->named[self->named_count] = s_tree_get (node->value);
    const s_tree_t *tree = &self->named[self->named_count++];
    return tree->flags == 0 && tree->pad == 0;
}

/* u64 count, then that many numbers of pages. */
static bool
s_is_free_list (s_check_t *self, const uint8_t *list, size_t size)
{
    uint64_t count = size < sizeof count ? UINT64_MAX : adr_get_u64 (list), before = UINT64_MAX;
    if (count > size / sizeof count - 1)
        return false;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t number = adr_get_u64 (list + i * sizeof number);
        if (number >= before || !s_take (self, number))
            return false;
        before = number;
    }
    return true;
}

/* A value that has pages of its own. */
static bool
s_big_value (s_check_t *self, const s_node_t *node)
{
    uint64_t first = adr_get_u64 (node->value);
    uint64_t count = (S_PAGE_HEADER - 1 + node->number) / self->page_size + 1;
    uint8_t *header = self->page + S_DEPTH_MAX * self->page_size;
    for (uint64_t i = 0; i < count; i++)
        if (!s_take (self, first + i))
            return false;
    if (!s_read (self, first, header) || adr_get_u64 (header) != first || adr_get_u16 (header + 10) != S_OVERFLOW
        || adr_get_u32 (header + 12) != count)
        return false;
    self->counted.overflows += count;
    if (self->kind != S_TREE_FREE)
        return true;
    uint8_t *value = adr_alloc ((size_t) node->number);
    bool sound = pread (self->file, value, (size_t) node->number, (off_t) (first * self->page_size + S_PAGE_HEADER))
                     == (ssize_t) node->number
                 && s_is_free_list (self, value, (size_t) node->number);
    free (value);
    return sound;
}

static bool
s_value (s_check_t *self, const s_node_t *node)
{
    if (self->kind == S_TREE_MAIN)
        return s_is_named_tree (self, node);
    if (self->kind == S_TREE_FREE && adr_get_u64 (node->key.data) > self->transaction)
        return false;
    if (node->flags == S_NODE_BIG)
        return s_big_value (self, node);
    return node->flags == 0 && (self->kind != S_TREE_FREE || s_is_free_list (self, node->value, (size_t) node->number));
}

/* --- trees ------------------------------------------------------------------------------------------------------ */

static bool
s_leaf (s_check_t *self, const s_page_t *page)
{
    bool sound = true;
    self->counted.leaves++;
    self->counted.entries += page->count;
    for (size_t i = 0; i < page->count && sound; i++) {
        s_node_t node;
        sound = s_node (self, page, i, &node) != 0 && s_ascends (self, node.key, true) && s_value (self, &node);
    }
    return sound;
}

static bool
s_subtree (s_check_t *self, uint64_t number, uint32_t depth, uint32_t depth_max)
{
    s_page_t page;
    if (!s_page (self, number, depth, &page) || page.is_leaf != (depth + 1 == depth_max))
        return false;
    if (page.is_leaf)
        return s_leaf (self, &page);
    bool sound = true;
    self->counted.branches++;
    for (size_t i = 0; i < page.count && sound; i++) {
        s_node_t node;
        /* The first key of a branch means nothing: whatever is below the second is there. */
        sound = s_node (self, &page, i, &node) != 0 && (i == 0 || s_ascends (self, node.key, false))
                && s_subtree (self, node.number, depth + 1, depth_max);
    }
    return sound;
}

static bool
s_walk (s_check_t *self, s_kind_t kind, const s_tree_t *tree)
{
    self->kind = kind;
    self->counted = (s_tree_t){ 0 };
    self->has_before = self->may_equal = false;
    if (tree->depth > S_DEPTH_MAX || (tree->root == S_NO_PAGE) != (tree->depth == 0))
        return false;
    bool sound = tree->depth == 0 || s_subtree (self, tree->root, 0, tree->depth);
    return sound && tree->branches == self->counted.branches && tree->leaves == self->counted.leaves
        && tree->overflows == self->counted.overflows && tree->entries == self->counted.entries;
}

/* --- the file --------------------------------------------------------------------------------------------------- */

typedef enum { S_BAD, S_GOOD, S_FOREIGN } s_verdict_t;

/* Which of the two meta pages counts, and whether they are what two transactions left, one after the other. */
static s_verdict_t
s_meta (s_check_t *self, uint8_t meta[S_META_SIZE])
{
    uint8_t page[S_META_COUNT][S_PAGE_HEADER + S_META_SIZE];
    uint64_t transaction[S_META_COUNT];
    self->page_size = 0;
    for (size_t i = 0; i < S_META_COUNT; i++) {
        const uint8_t *at = page[i] + S_PAGE_HEADER;
        if (pread (self->file, page[i], sizeof page[i], (off_t) (i * self->page_size)) != sizeof page[i]
            || adr_get_u64 (page[i]) != i || adr_get_u16 (page[i] + 10) != S_META || adr_get_u32 (at) != S_META_MAGIC)
            return S_BAD;
        if (adr_get_u32 (at + 4) != S_META_VERSION)
            return S_FOREIGN;
        uint32_t page_size = adr_get_u32 (at + 24);
        if (page_size < S_PAGE_SIZE_MIN || page_size > S_PAGE_SIZE_MAX || (page_size & (page_size - 1))
            || (i && page_size != self->page_size))
            return S_BAD;
        self->page_size = page_size;
        transaction[i] = adr_get_u64 (at + 128);
    }
    size_t newer = transaction[0] < transaction[1];
    self->transaction = transaction[newer];
    memcpy (meta, page[newer] + S_PAGE_HEADER, S_META_SIZE);
    return transaction[newer] % 2 == newer && transaction[newer] == transaction[!newer] + (transaction[newer] != 0)
               ? S_GOOD : S_BAD;
}

static bool
s_trees (s_check_t *self, const uint8_t meta[S_META_SIZE])
{
    s_tree_t free_pages = s_tree_get (meta + 24), main_tree = s_tree_get (meta + 24 + S_TREE_SIZE);
    bool sound = free_pages.flags == S_FREE_FLAGS && main_tree.flags == 0 && main_tree.pad == 0
                 && s_walk (self, S_TREE_FREE, &free_pages) && s_walk (self, S_TREE_MAIN, &main_tree)
                 && self->named_count == ADR_INDEX_TREE_COUNT;
    for (size_t i = 0; i < self->named_count && sound; i++)
        sound = s_walk (self, S_TREE_NAMED, &self->named[i]);
    return sound;
}

static bool
s_file_is_sound (int file, uint64_t size)
{
    s_check_t self = { .file = file };
    uint8_t meta[S_META_SIZE];
    s_verdict_t verdict = s_meta (&self, meta);
    if (verdict != S_GOOD)
        return verdict == S_FOREIGN; /* LMDB refuses what it does not know */
    uint64_t last = adr_get_u64 (meta + 120);
    if (last >= size / self.page_size + S_UNWRITTEN_MAX)
        return false;
    self.page_count = last + 1;
    self.seen = adr_alloc (self.page_count / 8 + 1);
    self.page = adr_alloc ((S_DEPTH_MAX + 1) * self.page_size);
    bool sound = s_trees (&self, meta);
    free (self.seen);
    free (self.page);
    return sound;
}

bool
adr_index_file_is_sound (const char *path)
{
    struct stat status;
    int file = open (path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    (void) posix_fadvise (file, 0, 0, POSIX_FADV_WILLNEED); /* else it is read page by page, in the order of the keys */
    bool sound = fstat (file, &status) == 0 && s_file_is_sound (file, (uint64_t) status.st_size);
    close (file);
    return sound;
}

bool
adr_lmdb_is_whole (MDB_env *environment, const char *path)
{
    MDB_envinfo info;
    MDB_stat pages;
    struct stat status;
    return mdb_env_info (environment, &info) == 0 && mdb_env_stat (environment, &pages) == 0
        && stat (path, &status) == 0
        && ((uint64_t) status.st_size / pages.ms_psize > info.me_last_pgno || adr_index_file_is_sound (path));
}
