/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* A plain file instead of an NBD server, read and written by a few threads: for measuring, where the
 * way to the lab's storage would hide what nbdkit and its client cost.
 */
#ifndef LAB_PLAINFILE_H
#define LAB_PLAINFILE_H

#include <stdbool.h>

#include "engine.h"

typedef struct PlainFile PlainFile;

/* A request; it must live until `done` is called, from one of the threads, with an errno or 0. */
typedef struct Job {
  const Operation *operation;
  void (*done)(struct Job *job, int error);
  struct Job *next;
} Job;

/* NULL if the file cannot be opened. */
PlainFile *plainfile_open(const char *path, bool writable);
/* Nothing may be under way any more. */
void plainfile_close(PlainFile *file);
uint64_t plainfile_size(const PlainFile *file); /* bytes */
void plainfile_submit(PlainFile *file, Job *job);

#endif
