/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
#include "log.h"

#include <stdarg.h>

static VixDiskLibGenericLogFunc *log_function, *warn_function;

void
log_to(VixDiskLibGenericLogFunc *log, VixDiskLibGenericLogFunc *warn)
{
  log_function = log;
  warn_function = warn;
}

void
log_line(const char *format, ...)
{
  va_list arguments;

  if (!log_function)
    return;
  va_start(arguments, format);
  log_function(format, arguments);
  va_end(arguments);
}

void
log_warning(const char *format, ...)
{
  va_list arguments;

  if (!warn_function)
    return;
  va_start(arguments, format);
  warn_function(format, arguments);
  va_end(arguments);
}
