/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* The caller's log functions. */
#ifndef LAB_LOG_H
#define LAB_LOG_H

#include "vixdisklib.h"

void log_to(VixDiskLibGenericLogFunc *log, VixDiskLibGenericLogFunc *warn);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
