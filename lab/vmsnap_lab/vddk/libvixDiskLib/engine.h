/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* One NBD connection, or a plain file, and the thread that serves it: requests are sent by the thread
 * that makes them and complete on the serving one, or on one of the file's, as VDDK's do.
 */
#ifndef LAB_ENGINE_H
#define LAB_ENGINE_H

#include <stdbool.h>

#include "pages.h"
#include "vixdisklib.h"

typedef struct Engine Engine;

typedef enum { OP_READ, OP_WRITE, OP_FLUSH, OP_STATUS } Kind;

/* The extents of OP_STATUS: lengths in bytes, and the depth at which they are allocated: 0 for
 * nowhere, 1 for the file itself.
 */
typedef void StatusCB(void *data, uint64_t length, uint32_t depth);

typedef struct {
  Kind kind;
  void *buffer;
  uint64_t offset; /* bytes */
  uint64_t length;
  StatusCB *status;
  void *status_data;
  VixError error; /* unless VIX_OK: nothing is done but to complete with it */
  VixDiskLibCompletionCB callback;
  void *data;
} Operation;

/* Open `file`, or if that is NULL connect to an NBD server at a unix socket; NULL if it cannot
 * be opened or the server turns us away.
 */
Engine *engine_start(const char *socket, const char *file, bool writable, Ledger *ledger);
/* Wait for what is in flight, disconnect, end the thread. */
void engine_stop(Engine *engine);

uint64_t engine_size(Engine *engine); /* bytes */
/* VIX_ASYNC, or an error, after which there is no callback. */
VixError engine_submit(Engine *engine, const Operation *operation);
/* Submit and wait for the result. */
VixError engine_run(Engine *engine, const Operation *operation);
void engine_wait(Engine *engine);

#endif
