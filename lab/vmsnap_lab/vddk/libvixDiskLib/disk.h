/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* An open disk. */
#ifndef LAB_DISK_H
#define LAB_DISK_H

#include <stdbool.h>

#include "engine.h"
#include "library.h"

struct Disk {
  struct Connection *connection;
  uint64_t number; /* the lab's */
  Engine *engine;
  Ledger *ledger;
  bool writable;
  bool lost; /* idle for too long: nothing works any more */
  uint64_t links;
  uint64_t own_links; /* those of them, from the top, in the folder of the disk */
  char *transport;
  char *parent; /* or NULL */
  char *uuid;
};

/* Whether the disk is still there; this call counts as a sign of life. */
VixError disk_touch(struct Disk *disk);

#endif
