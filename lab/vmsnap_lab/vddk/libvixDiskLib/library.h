/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* What one initialised library holds, and what connections and disks are. */
#ifndef LAB_LIBRARY_H
#define LAB_LIBRARY_H

#include <stdbool.h>

#include "pages.h"
#include "vixdisklib.h"

typedef struct {
  bool ready;
  char *libdir;
  Switches *switches;
  uint64_t buffer_size; /* of an NFC buffer, bytes */
  uint64_t buffer_count;
} Library;

extern Library library;

struct Connection {
  int socket; /* to the lab; its end is the end of the connection */
};

#endif
