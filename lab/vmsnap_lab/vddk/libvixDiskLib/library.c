/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* InitEx, Exit, and what belongs to no connection. */
#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "message.h"

Library library;

enum { MAJOR = 8, MINOR = 0 };

static VixError
announce(uint32_t major, uint32_t minor, const char *config_file)
{
  Request request;
  Answer answer;
  int lab = lab_connect(library.libdir);

  if (lab < 0) {
    log_warning("VixDiskLib: %s names no running lab.", library.libdir);
    return VIX_E_DISK_SUBSYSTEM_INIT_FAIL;
  }
  request_begin(&request, "InitEx");
  request_add_number(&request, "major", major);
  request_add_number(&request, "minor", minor);
  request_add(&request, "config", config_file);
  request_add_number(&request, "buffer_size", library.buffer_size);
  request_add_number(&request, "buffer_count", library.buffer_count);
  VixError error = lab_ask(lab, &request, &answer);
  close(lab);
  return error;
}

VixError
VixDiskLib_InitEx(uint32_t major, uint32_t minor, VixDiskLibGenericLogFunc *log,
                  VixDiskLibGenericLogFunc *warn, VixDiskLibGenericLogFunc *panic,
                  const char *libdir, const char *config_file)
{
  char path[4096];

  (void)panic;
  if (library.ready)
    return VIX_E_DISK_SUBSYSTEM_INIT_FAIL;
  log_to(log, warn);
  if (major > MAJOR || (major == MAJOR && minor > MINOR))
    return VIX_E_NOT_SUPPORTED;
  if (!libdir)
    return VIX_E_INVALID_ARG;
  VixError error = config_read(config_file, &library.buffer_size, &library.buffer_count);
  if (error != VIX_OK)
    return error;
  log_line("VixDiskLib: VixDiskLib_InitEx: Initialization is completed.");
  if (snprintf(path, sizeof path, "%s/switches", libdir) >= (int)sizeof path)
    return VIX_E_INVALID_ARG;
  if (!(library.libdir = strdup(libdir)))
    return VIX_E_OUT_OF_MEMORY;
  library.switches = page_map(path);
  error = library.switches ? announce(major, minor, config_file) : VIX_E_DISK_SUBSYSTEM_INIT_FAIL;
  library.ready = error == VIX_OK;
  if (!library.ready)
    VixDiskLib_Exit();
  return error;
}

void
VixDiskLib_Exit(void)
{
  log_line("VixDiskLib: VixDiskLib_Exit: Unmatched calls so far: 0.");
  page_unmap(library.switches);
  free(library.libdir);
  library = (Library){ 0 };
}

const char *
VixDiskLib_ListTransportModes(void)
{
  return "file:san:hotadd:nbdssl:nbd";
}
