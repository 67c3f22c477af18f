/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* Reading, writing, flushing. */
#include <stdlib.h>

#include "disk.h"
#include "log.h"

static VixError
check_range(struct Disk *disk, uint64_t start, uint64_t sectors)
{
  uint64_t capacity = engine_size(disk->engine) / SECTOR_SIZE;

  if (sectors == 0)
    return VIX_E_DISK_INVAL;
  if (start > capacity || sectors > capacity - start)
    return VIX_E_DISK_OUTOFRANGE;
  return VIX_OK;
}

static VixError
check_limits(struct Disk *disk, uint64_t length)
{
  uint64_t largest = library.switches->largest_request;
  uint64_t most = library.switches->most_in_flight;

  if (largest && length > largest) {
    log_warning("[NFC ERROR] NfcFssrvrProcessErrorMsg: received NFC error 5 from server: Failed to "
                "allocate the requested %llu bytes",
                (unsigned long long)length);
    return VIX_E_OUT_OF_MEMORY;
  }
  if (most && __atomic_load_n(&disk->ledger->in_flight, __ATOMIC_RELAXED) >= most) {
    log_warning("[NFC ERROR] NfcAioGetBuffer: all %llu buffers of the session are in use",
                (unsigned long long)most);
    return VIX_E_OUT_OF_MEMORY;
  }
  return VIX_OK;
}

static VixError
check_write(struct Disk *disk)
{
  return disk->writable ? disk->ledger->write_error : VIX_E_FILE_READ_ONLY;
}

/* What the server answers, since it does not look at data: VIX_OK, or a future error. */
static VixError
server_error(Failure *failure)
{
  return library.switches->error ? library.switches->error : failure_next(failure);
}

static void
count_transfer(struct Disk *disk, const Operation *operation)
{
  Ledger *ledger = disk->ledger;

  if (operation->kind == OP_READ) {
    count(&ledger->reads, 1);
    count(&ledger->read_bytes, operation->length);
    count_most(&ledger->largest_read, operation->length);
  } else {
    count(&ledger->writes, 1);
    count(&ledger->unflushed_writes, 1);
    count(&ledger->written_bytes, operation->length);
    count_most(&ledger->largest_write, operation->length);
  }
}

/* With a callback the request is made and VIX_ASYNC returned, without one its end is waited for. */
static VixError
transfer(struct Disk *disk, Kind kind, uint64_t start, uint64_t sectors, void *buffer,
         VixDiskLibCompletionCB callback, void *data)
{
  VixError error;

  if (!disk || !buffer)
    return VIX_E_INVALID_ARG;
  Operation operation = {
    .kind = kind,
    .buffer = buffer,
    .offset = start * SECTOR_SIZE,
    .length = sectors * SECTOR_SIZE,
    .callback = callback,
    .data = data,
  };
  if ((error = check_range(disk, start, sectors)) == VIX_OK &&
      (error = disk_touch(disk)) == VIX_OK &&
      (error = check_limits(disk, operation.length)) == VIX_OK)
    error = kind == OP_WRITE ? check_write(disk) : VIX_OK;
  if (error != VIX_OK) {
    count(&disk->ledger->failures, 1);
    return error;
  }
  operation.error = server_error(kind == OP_READ ? &library.switches->read
                                                 : &library.switches->write);
  count_transfer(disk, &operation);
  return callback ? engine_submit(disk->engine, &operation) : engine_run(disk->engine, &operation);
}

VixError
VixDiskLib_Read(VixDiskLibHandle disk, uint64_t start, uint64_t sectors, unsigned char *buffer)
{
  return transfer(disk, OP_READ, start, sectors, buffer, NULL, NULL);
}

VixError
VixDiskLib_Write(VixDiskLibHandle disk, uint64_t start, uint64_t sectors,
                 const unsigned char *buffer)
{
  return transfer(disk, OP_WRITE, start, sectors, (void *)buffer, NULL, NULL);
}

VixError
VixDiskLib_ReadAsync(VixDiskLibHandle disk, uint64_t start, uint64_t sectors,
                     unsigned char *buffer, VixDiskLibCompletionCB callback, void *data)
{
  if (!callback)
    return VIX_E_INVALID_ARG;
  return transfer(disk, OP_READ, start, sectors, buffer, callback, data);
}

VixError
VixDiskLib_WriteAsync(VixDiskLibHandle disk, uint64_t start, uint64_t sectors,
                      const unsigned char *buffer, VixDiskLibCompletionCB callback, void *data)
{
  if (!callback)
    return VIX_E_INVALID_ARG;
  return transfer(disk, OP_WRITE, start, sectors, (void *)buffer, callback, data);
}

VixError
VixDiskLib_Wait(VixDiskLibHandle disk)
{
  if (!disk)
    return VIX_E_INVALID_ARG;
  engine_wait(disk->engine);
  return VIX_OK;
}

VixError
VixDiskLib_Flush(VixDiskLibHandle disk)
{
  Operation flush = { .kind = OP_FLUSH };
  VixError error;

  if (!disk)
    return VIX_E_INVALID_ARG;
  if ((error = disk_touch(disk)) != VIX_OK)
    return error;
  flush.error = server_error(&library.switches->flush);
  uint64_t written = __atomic_load_n(&disk->ledger->unflushed_writes, __ATOMIC_RELAXED);
  error = engine_run(disk->engine, &flush);
  count(&disk->ledger->flushes, 1);
  if (error == VIX_OK)
    __atomic_fetch_sub(&disk->ledger->unflushed_writes, written, __ATOMIC_RELAXED);
  return error;
}
