/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* The configuration file that InitEx gets. */
#ifndef LAB_CONFIG_H
#define LAB_CONFIG_H

#include "vixdisklib.h"

/* The size (bytes) and number of NFC buffers of an open disk; the defaults if `path` is NULL.
 * VIX_E_FILE_NOT_FOUND for a file that cannot be read, VIX_E_INVALID_ARG for a value that is not a
 * positive number.
 */
VixError config_read(const char *path, uint64_t *buffer_size, uint64_t *buffer_count);

#endif
