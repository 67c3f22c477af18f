/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* QueryAllocatedBlocks: what any link of the opened chain holds, in whole chunks. */
#include <stdlib.h>

#include "disk.h"
#include "log.h"

/* NBD describes less than 4 GiB at a time. */
static const uint64_t LONGEST_STATUS = (uint64_t)1 << 31;

typedef struct {
  VixDiskLibBlockList *list;
  uint32_t room;
  uint64_t chunk; /* sectors, like all below */
  uint64_t position;
  uint64_t end;
  uint64_t deepest; /* the depth from which on a habit hides what is allocated */
  bool failed;
} Collector;

static VixError
check(struct Disk *disk, uint64_t start, uint64_t sectors, uint64_t chunk)
{
  uint64_t capacity = engine_size(disk->engine) / SECTOR_SIZE;

  if (chunk < MIN_CHUNK_SECTORS || sectors == 0 || start % chunk || sectors % chunk ||
      sectors / chunk > MAX_CHUNKS) {
    log_warning("VixDiskLib: VixDiskLib_QueryAllocatedBlocks: start sector %llu, %llu sectors: not "
                "1 to %d whole chunks of %llu sectors.",
                (unsigned long long)start, (unsigned long long)sectors, MAX_CHUNKS,
                (unsigned long long)chunk);
    return VIX_E_INVALID_ARG;
  }
  if (start > capacity || sectors > capacity - start)
    return VIX_E_DISK_OUTOFRANGE;
  return VIX_OK;
}

static bool
grow(Collector *collector)
{
  uint32_t room = collector->room ? 2 * collector->room : 256;
  size_t size = sizeof(VixDiskLibBlockList) + room * sizeof(VixDiskLibBlock);
  VixDiskLibBlockList *grown = realloc(collector->list, size);

  if (!grown)
    return false;
  if (!collector->list)
    grown->numBlocks = 0;
  collector->list = grown;
  collector->room = room;
  return true;
}

/* Add the chunks that [from, to) touches; the last one may be in the list already. */
static void
add(Collector *collector, uint64_t from, uint64_t to)
{
  VixDiskLibBlockList *list = collector->list;

  from -= from % collector->chunk;
  to += (collector->chunk - to % collector->chunk) % collector->chunk;
  if (list->numBlocks > 0) {
    VixDiskLibBlock *last = &list->blocks[list->numBlocks - 1];
    if (from <= last->offset + last->length) {
      if (to > last->offset + last->length)
        last->length = to - last->offset;
      return;
    }
  }
  if (list->numBlocks >= collector->room) {
    if (!grow(collector)) {
      collector->failed = true;
      return;
    }
    list = collector->list;
  }
  list->blocks[list->numBlocks++] = (VixDiskLibBlock){ .offset = from, .length = to - from };
}

/* Whether a habit hides the chunk that a sector is in. */
static bool
is_hidden(uint64_t sector)
{
  uint64_t mixed = sector / MIN_CHUNK_SECTORS + library.switches->seed * 0x9e3779b97f4a7c15u;

  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return ((mixed ^ (mixed >> 31)) >> 32) < library.switches->hidden;
}

static void
add_unless_hidden(Collector *collector, uint64_t from, uint64_t to)
{
  while (from < to) {
    uint64_t next = from - from % MIN_CHUNK_SECTORS + MIN_CHUNK_SECTORS;
    if (next > to)
      next = to;
    if (!is_hidden(from))
      add(collector, from, next);
    from = next;
  }
}

static void
take_extent(void *data, uint64_t length, uint32_t depth)
{
  Collector *collector = data;
  uint64_t to = collector->position + length / SECTOR_SIZE;

  if (to > collector->end)
    to = collector->end;
  if (depth > 0 && depth <= collector->deepest && to > collector->position && !collector->failed) {
    if (library.switches->hidden)
      add_unless_hidden(collector, collector->position, to);
    else
      add(collector, collector->position, to);
  }
  collector->position = to;
}

static VixError
collect(struct Disk *disk, Collector *collector)
{
  while (collector->position < collector->end) {
    uint64_t before = collector->position;
    uint64_t length = (collector->end - before) * SECTOR_SIZE;
    Operation status = {
      .kind = OP_STATUS,
      .offset = before * SECTOR_SIZE,
      .length = length < LONGEST_STATUS ? length : LONGEST_STATUS,
      .status = take_extent,
      .status_data = collector,
    };
    VixError error = engine_run(disk->engine, &status);
    if (error != VIX_OK)
      return error;
    if (collector->failed)
      return VIX_E_OUT_OF_MEMORY;
    if (collector->position == before)
      return VIX_E_FAIL;
  }
  return VIX_OK;
}

VixError
VixDiskLib_QueryAllocatedBlocks(VixDiskLibHandle disk, uint64_t start, uint64_t sectors,
                                uint64_t chunk, VixDiskLibBlockList **list)
{
  VixError error;

  if (!disk || !list)
    return VIX_E_INVALID_ARG;
  log_line("VixDiskLib: VixDiskLib_QueryAllocatedBlocks: Query allocated blocks.");
  if ((error = check(disk, start, sectors, chunk)) != VIX_OK ||
      (error = disk_touch(disk)) != VIX_OK)
    return error;
  count(&disk->ledger->queries, 1);
  if ((error = failure_next(&library.switches->query)) != VIX_OK) {
    count(&disk->ledger->failures, 1);
    return error;
  }
  Collector collector = {
    .chunk = chunk,
    .position = start,
    .end = start + sectors,
    .deepest = library.switches->own_files ? disk->own_links : UINT64_MAX,
  };
  if (!grow(&collector))
    return VIX_E_OUT_OF_MEMORY;
  if (library.switches->all_allocated)
    add(&collector, start, start + sectors);
  else
    error = collect(disk, &collector);
  if (error != VIX_OK) {
    free(collector.list);
    return error;
  }
  *list = collector.list;
  return VIX_OK;
}

VixError
VixDiskLib_FreeBlockList(VixDiskLibBlockList *list)
{
  free(list);
  return VIX_OK;
}
