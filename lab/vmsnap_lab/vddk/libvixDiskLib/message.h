/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* Requests to the lab and its answers: lines of words, `Open path=%5Bds%5D%20a.vmdk flags=4`. An
 * answer begins with a VIX error number; its `log` and `warn` go to the caller's log functions.
 * What stands between the words is percent-encoded.
 */
#ifndef LAB_MESSAGE_H
#define LAB_MESSAGE_H

#include <stdbool.h>

#include "vixdisklib.h"

enum { MAX_LINE = 16384, MAX_FIELDS = 48 };

typedef struct {
  char line[MAX_LINE];
  size_t length;
  bool too_long;
} Request;

typedef struct {
  char line[MAX_LINE];
  size_t length;
  VixError error;
  size_t fields;
  const char *names[MAX_FIELDS];
  const char *values[MAX_FIELDS];
} Answer;

void request_begin(Request *request, const char *name);
/* A text that is NULL is left out. */
void request_add(Request *request, const char *name, const char *text);
void request_add_number(Request *request, const char *name, uint64_t number);

/* Send a request and wait for the answer, which is logged. Returns the answer's error, or
 * VIX_E_CANNOT_CONNECT_TO_HOST if the lab is gone.
 */
VixError lab_ask(int socket, Request *request, Answer *answer);
/* NULL if the answer has no such field. Lives as long as the answer. */
const char *answer_text(const Answer *answer, const char *name);
uint64_t answer_number(const Answer *answer, const char *name);

/* A connection to the lab whose address is in libdir; -1 if there is none. */
int lab_connect(const char *libdir);

#endif
