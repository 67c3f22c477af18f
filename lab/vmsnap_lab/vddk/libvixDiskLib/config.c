/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"

enum { UNIT = 65536, DEFAULT_UNITS = 1, DEFAULT_COUNT = 4 };

static const char SIZE_KEY[] = "vixDiskLib.nfcAio.Session.BufSizeIn64KB";
static const char COUNT_KEY[] = "vixDiskLib.nfcAio.Session.BufCount";

/* Cut blanks and quotes at both ends. */
static char *
trimmed(char *text)
{
  static const char CUT[] = " \t\r\n\"";

  text += strspn(text, CUT);
  for (size_t length = strlen(text); length > 0 && strchr(CUT, text[length - 1]); length--)
    text[length - 1] = '\0';
  return text;
}

static VixError
apply(char *line, uint64_t *units, uint64_t *buffer_count)
{
  char *value = strchr(line, '=');
  uint64_t *target;

  if (!value)
    return VIX_OK;
  *value++ = '\0';
  const char *key = trimmed(line);
  if (strcasecmp(key, SIZE_KEY) == 0)
    target = units;
  else if (strcasecmp(key, COUNT_KEY) == 0)
    target = buffer_count;
  else
    return VIX_OK;
  char *end;
  value = trimmed(value);
  *target = strtoull(value, &end, 10);
  if (*end || *target == 0 || *target > 1024) {
    log_warning("VixDiskLib: %s has the invalid value %s.", key, value);
    return VIX_E_INVALID_ARG;
  }
  return VIX_OK;
}

VixError
config_read(const char *path, uint64_t *buffer_size, uint64_t *buffer_count)
{
  uint64_t units = DEFAULT_UNITS;
  VixError error = VIX_OK;
  char line[1024];

  *buffer_count = DEFAULT_COUNT;
  FILE *file = path ? fopen(path, "re") : NULL;
  if (path && !file) {
    log_warning("VixDiskLib: Cannot read the configuration file %s.", path);
    return VIX_E_FILE_NOT_FOUND;
  }
  while (file && error == VIX_OK && fgets(line, sizeof line, file))
    error = apply(line, &units, buffer_count);
  if (file)
    fclose(file);
  *buffer_size = units * UNIT;
  return error;
}
