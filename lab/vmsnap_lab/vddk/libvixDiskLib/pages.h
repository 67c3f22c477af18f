/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* Two kinds of pages of memory that the lab and the library share, so that no read or write has to
 * ask the lab: one with the lab's switches for all processes, one for each open disk in which the
 * library counts. All fields are 64 bits wide, in the machine's order; the lab knows their places.
 */
#ifndef LAB_PAGES_H
#define LAB_PAGES_H

#include "vixdisklib.h"

/* A future failure: after `skip` more calls, `times` calls in a row fail with `error`. */
typedef struct {
  int64_t skip;
  int64_t times;
  uint64_t error;
} Failure;

typedef struct {
  uint64_t delay;           /* nanoseconds that every call takes longer */
  uint64_t idle;            /* nanoseconds without a call after which a disk is lost; 0: never */
  uint64_t largest_request; /* bytes; 0: no limit */
  uint64_t most_in_flight;  /* requests of a disk; 0: no limit */
  uint64_t all_allocated;   /* QueryAllocatedBlocks calls everything allocated */
  uint64_t hidden;          /* of 2^32 allocated chunks, how many it leaves out; which, by `seed` */
  uint64_t seed;
  uint64_t own_files;       /* it leaves out what is only in files of other folders */
  uint64_t error;           /* of every read, write and flush, unless 0 */
  Failure read, write, flush, query;
} Switches;

typedef struct {
  uint64_t reads, read_bytes, largest_read;
  uint64_t writes, written_bytes, largest_write;
  uint64_t flushes, unflushed_writes;
  uint64_t queries;
  uint64_t failures;
  uint64_t in_flight, most_in_flight;
  uint64_t last_call;   /* CLOCK_MONOTONIC, nanoseconds */
  uint64_t write_error; /* set by the lab: writing this disk fails with it */
} Ledger;

/* Map a file of the lab; NULL if that fails. */
void *page_map(const char *path);
void page_unmap(void *page);

uint64_t now_ns(void);
/* The error of this call, VIX_OK for none. */
VixError failure_next(Failure *failure);
void count(uint64_t *counter, uint64_t amount);
void count_most(uint64_t *counter, uint64_t value);

#endif
