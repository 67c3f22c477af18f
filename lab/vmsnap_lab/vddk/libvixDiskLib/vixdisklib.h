/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* The binary interface of libvixDiskLib 8, as far as nbdkit's vddk plugin and our own guard
 * against Storage vMotion use it: types, flags and the layout of structures are facts of that interface. Sectors are 512 bytes.
 */
#ifndef LAB_VIXDISKLIB_H
#define LAB_VIXDISKLIB_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t VixError;

/* Numbers of the public list of VIX errors; the texts are in errors.c. */
enum {
  VIX_OK = 0,
  VIX_E_FAIL = 1,
  VIX_E_OUT_OF_MEMORY = 2,
  VIX_E_INVALID_ARG = 3,
  VIX_E_FILE_NOT_FOUND = 4,
  VIX_E_NOT_SUPPORTED = 6,
  VIX_E_FILE_ERROR = 7,
  VIX_E_DISK_FULL = 8,
  VIX_E_FILE_READ_ONLY = 11,
  VIX_E_HOST_TCP_SOCKET_ERROR = 14010,
  VIX_E_HOST_TCP_CONN_LOST = 14011,
  VIX_E_DISK_INVAL = 16000,
  VIX_E_DISK_NOINIT = 16001,
  VIX_E_DISK_OUTOFRANGE = 16007,
  VIX_E_DISK_SUBSYSTEM_INIT_FAIL = 16053,
  VIX_E_DISK_INVALID_CONNECTION = 16054,
  VIX_E_CANNOT_CONNECT_TO_HOST = 18000,
  VIX_ASYNC = 25000
};

enum {
  FLAG_OPEN_UNBUFFERED = 1,
  FLAG_OPEN_SINGLE_LINK = 2,
  FLAG_OPEN_READ_ONLY = 4
};

enum { SECTOR_SIZE = 512, MIN_CHUNK_SECTORS = 128, MAX_CHUNKS = 512 * 1024 };

enum { CRED_UID = 1, CRED_SESSION_ID = 2 };

enum { MAX_IDENTITY = 50 };

typedef void VixDiskLibGenericLogFunc(const char *format, va_list arguments);
typedef void (*VixDiskLibCompletionCB)(void *data, VixError result);

typedef struct {
  char *vmxSpec;
  char *serverName;
  char *thumbPrint;
  long privateUse;
  int credType;
  union {
    struct {
      char *userName;
      char *password;
    } uid;
    struct {
      char *cookie;
      char *userName;
      char *key;
    } sessionId;
    void *ticketId;
  } creds;
  uint32_t port;
  uint32_t nfcHostPort;
  char *vimApiVer;
  char reserved[8];
  void *state;
  struct {
    char *id;
    char *datastoreMoRef;
    char *ssId;
  } vStorageObjSpec;
  int specType;
} VixDiskLibConnectParams;

typedef struct {
  uint32_t cylinders;
  uint32_t heads;
  uint32_t sectors;
} VixDiskLibGeometry;

typedef struct {
  VixDiskLibGeometry biosGeo;
  VixDiskLibGeometry physGeo;
  uint64_t capacity; /* sectors */
  int adapterType;
  int numLinks;
  char *parentFileNameHint;
  char *uuid;
  uint32_t logicalSectorSize;
  uint32_t physicalSectorSize;
} VixDiskLibInfo;

enum { ADAPTER_SCSI_LSILOGIC = 3 };

typedef struct {
  uint64_t offset; /* sectors */
  uint64_t length;
} VixDiskLibBlock;

typedef struct {
  uint32_t numBlocks;
  VixDiskLibBlock blocks[1];
} VixDiskLibBlockList;

typedef struct Connection *VixDiskLibConnection;
typedef struct Disk *VixDiskLibHandle;

VixError VixDiskLib_InitEx(uint32_t major, uint32_t minor, VixDiskLibGenericLogFunc *log,
                           VixDiskLibGenericLogFunc *warn, VixDiskLibGenericLogFunc *panic,
                           const char *libdir, const char *config_file);
void VixDiskLib_Exit(void);
const char *VixDiskLib_ListTransportModes(void);
char *VixDiskLib_GetErrorText(VixError error, const char *locale);
void VixDiskLib_FreeErrorText(char *text);

VixDiskLibConnectParams *VixDiskLib_AllocateConnectParams(void);
void VixDiskLib_FreeConnectParams(VixDiskLibConnectParams *params);
/* Both: identity is the name under which vCenter keeps who asked. Not there WITHOUT_ACCESS. */
VixError VixDiskLib_PrepareForAccess(const VixDiskLibConnectParams *params, const char *identity);
VixError VixDiskLib_EndAccess(const VixDiskLibConnectParams *params, const char *identity);
VixError VixDiskLib_ConnectEx(const VixDiskLibConnectParams *params, char read_only,
                              const char *snapshot, const char *transports,
                              VixDiskLibConnection *connection);
VixError VixDiskLib_Disconnect(VixDiskLibConnection connection);
VixError VixDiskLib_Create(VixDiskLibConnection connection, const char *path, const void *params,
                           void *progress, void *data);

VixError VixDiskLib_Open(VixDiskLibConnection connection, const char *path, uint32_t flags,
                         VixDiskLibHandle *handle);
VixError VixDiskLib_Close(VixDiskLibHandle disk);
const char *VixDiskLib_GetTransportMode(VixDiskLibHandle disk);
VixError VixDiskLib_GetInfo(VixDiskLibHandle disk, VixDiskLibInfo **info);
void VixDiskLib_FreeInfo(VixDiskLibInfo *info);

VixError VixDiskLib_Read(VixDiskLibHandle disk, uint64_t start, uint64_t count,
                         unsigned char *buffer);
VixError VixDiskLib_Write(VixDiskLibHandle disk, uint64_t start, uint64_t count,
                          const unsigned char *buffer);
VixError VixDiskLib_ReadAsync(VixDiskLibHandle disk, uint64_t start, uint64_t count,
                              unsigned char *buffer, VixDiskLibCompletionCB callback, void *data);
VixError VixDiskLib_WriteAsync(VixDiskLibHandle disk, uint64_t start, uint64_t count,
                               const unsigned char *buffer, VixDiskLibCompletionCB callback,
                               void *data);
VixError VixDiskLib_Wait(VixDiskLibHandle disk);
VixError VixDiskLib_Flush(VixDiskLibHandle disk);

VixError VixDiskLib_QueryAllocatedBlocks(VixDiskLibHandle disk, uint64_t start, uint64_t count,
                                         uint64_t chunk, VixDiskLibBlockList **list);
VixError VixDiskLib_FreeBlockList(VixDiskLibBlockList *list);

#endif
