/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* Opening, closing, describing a disk. */
#include "disk.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "message.h"

static void
release(struct Disk *disk)
{
  page_unmap(disk->ledger);
  free(disk->transport);
  free(disk->parent);
  free(disk->uuid);
  free(disk);
}

static char *
copy(const char *text)
{
  return text ? strdup(text) : NULL;
}

/* The lab knows why its server turned us away. */
static VixError
ask_why(struct Disk *disk)
{
  Request request;
  Answer answer;

  request_begin(&request, "Refused");
  request_add_number(&request, "disk", disk->number);
  VixError error = lab_ask(disk->connection->socket, &request, &answer);
  return error == VIX_OK ? VIX_E_FAIL : error;
}

VixError
VixDiskLib_Open(VixDiskLibConnection connection, const char *path, uint32_t flags,
                VixDiskLibHandle *handle)
{
  Request request;
  Answer answer;

  if (!connection)
    return VIX_E_DISK_INVALID_CONNECTION;
  if (!path || !handle)
    return VIX_E_INVALID_ARG;
  log_line("VixDiskLib: VixDiskLib_OpenEx: Open a disk.");
  request_begin(&request, "Open");
  request_add(&request, "path", path);
  request_add_number(&request, "flags", flags);
  VixError error = lab_ask(connection->socket, &request, &answer);
  if (error != VIX_OK)
    return error;

  struct Disk *disk = calloc(1, sizeof *disk);
  const char *ledger = answer_text(&answer, "ledger");
  const char *socket = answer_text(&answer, "socket");
  if (!disk || !ledger || !socket) {
    free(disk);
    return VIX_E_FAIL;
  }
  disk->connection = connection;
  disk->number = answer_number(&answer, "disk");
  disk->writable = !(flags & FLAG_OPEN_READ_ONLY);
  disk->links = answer_number(&answer, "links");
  disk->own_links = answer_number(&answer, "own_links");
  disk->transport = copy(answer_text(&answer, "transport"));
  disk->parent = copy(answer_text(&answer, "parent"));
  disk->uuid = copy(answer_text(&answer, "uuid"));
  disk->ledger = page_map(ledger);
  if (disk->ledger)
    disk->engine =
      engine_start(socket, answer_text(&answer, "file"), disk->writable, disk->ledger);
  if (!disk->engine) {
    error = ask_why(disk);
    release(disk);
    return error;
  }
  log_line("VixDiskLib: VixDiskLib_OpenEx: Disk is opened using %s.", disk->transport);
  *handle = disk;
  return VIX_OK;
}

VixError
VixDiskLib_Close(VixDiskLibHandle disk)
{
  Request request;
  Answer answer;

  if (!disk)
    return VIX_E_INVALID_ARG;
  log_line("VixDiskLib: VixDiskLib_Close: Close disk.");
  engine_stop(disk->engine);
  request_begin(&request, "Close");
  request_add_number(&request, "disk", disk->number);
  VixError error = lab_ask(disk->connection->socket, &request, &answer);
  release(disk);
  return error;
}

VixError
disk_touch(struct Disk *disk)
{
  uint64_t idle = library.switches->idle, now = now_ns();

  if (idle && !disk->lost && !disk->ledger->in_flight && now - disk->ledger->last_call > idle) {
    log_warning("[NFC ERROR] NfcNetTcpRead: bRead: -1: the server closed an idle connection");
    disk->lost = true;
  }
  __atomic_store_n(&disk->ledger->last_call, now, __ATOMIC_RELAXED);
  return disk->lost ? VIX_E_HOST_TCP_CONN_LOST : VIX_OK;
}

const char *
VixDiskLib_GetTransportMode(VixDiskLibHandle disk)
{
  return disk ? disk->transport : NULL;
}

VixError
VixDiskLib_GetInfo(VixDiskLibHandle disk, VixDiskLibInfo **info)
{
  enum { HEADS = 255, SECTORS = 63 };

  if (!disk || !info)
    return VIX_E_INVALID_ARG;
  VixDiskLibInfo *made = calloc(1, sizeof *made);
  if (!made)
    return VIX_E_OUT_OF_MEMORY;
  made->capacity = engine_size(disk->engine) / SECTOR_SIZE;
  made->adapterType = ADAPTER_SCSI_LSILOGIC;
  made->numLinks = (int)disk->links;
  made->parentFileNameHint = copy(disk->parent);
  made->uuid = copy(disk->uuid);
  made->biosGeo.heads = HEADS;
  made->biosGeo.sectors = SECTORS;
  made->biosGeo.cylinders = (uint32_t)(made->capacity / (HEADS * SECTORS));
  made->physGeo = made->biosGeo;
  made->logicalSectorSize = made->physicalSectorSize = SECTOR_SIZE;
  *info = made;
  return VIX_OK;
}

void
VixDiskLib_FreeInfo(VixDiskLibInfo *info)
{
  if (!info)
    return;
  free(info->parentFileNameHint);
  free(info->uuid);
  free(info);
}
