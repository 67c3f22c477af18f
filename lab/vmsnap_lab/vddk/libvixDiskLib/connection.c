/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* Connections and access: whether there is any is for the lab to decide. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"
#include "log.h"
#include "message.h"

VixDiskLibConnectParams *
VixDiskLib_AllocateConnectParams(void)
{
  return calloc(1, sizeof(VixDiskLibConnectParams));
}

void
VixDiskLib_FreeConnectParams(VixDiskLibConnectParams *params)
{
  free(params);
}

static VixError
add_credentials(Request *request, const VixDiskLibConnectParams *params)
{
  switch (params->credType) {
  case CRED_UID:
    request_add(request, "user", params->creds.uid.userName);
    request_add(request, "password", params->creds.uid.password);
    return VIX_OK;
  case CRED_SESSION_ID:
    request_add(request, "user", params->creds.sessionId.userName);
    request_add(request, "cookie", params->creds.sessionId.cookie);
    request_add(request, "key", params->creds.sessionId.key);
    return VIX_OK;
  default:
    return VIX_E_NOT_SUPPORTED;
  }
}

/* The beginning of each request that logs in. */
static VixError
begin_login(Request *request, const char *name, const VixDiskLibConnectParams *params)
{
  request_begin(request, name);
  request_add(request, "server", params->serverName);
  request_add_number(request, "port", params->port);
  request_add_number(request, "nfc_port", params->nfcHostPort);
  request_add(request, "thumbprint", params->thumbPrint);
  request_add(request, "vm", params->vmxSpec);
  return add_credentials(request, params);
}

VixError
VixDiskLib_ConnectEx(const VixDiskLibConnectParams *params, char read_only, const char *snapshot,
                     const char *transports, VixDiskLibConnection *connection)
{
  Request request;
  Answer answer;

  if (!library.ready)
    return VIX_E_DISK_NOINIT;
  if (!params || !connection || !params->serverName || !params->vmxSpec)
    return VIX_E_INVALID_ARG;
  log_line("VixDiskLib: VixDiskLib_ConnectEx: Establish connection using %s.",
           transports ? transports : "(default)");
  log_line("VixDiskLib: Resolve host.");
  VixError error = begin_login(&request, "ConnectEx", params);
  if (error != VIX_OK)
    return error;
  request_add(&request, "snapshot", snapshot);
  request_add_number(&request, "read_only", read_only != 0);
  request_add(&request, "transports", transports);
  request_add_number(&request, "buffers", library.buffer_size * library.buffer_count);

  struct Connection *made = calloc(1, sizeof *made);
  if (!made)
    return VIX_E_OUT_OF_MEMORY;
  made->socket = lab_connect(library.libdir);
  error = made->socket < 0 ? VIX_E_CANNOT_CONNECT_TO_HOST
                           : lab_ask(made->socket, &request, &answer);
  explicit_bzero(&request, sizeof request);
  if (error != VIX_OK) {
    if (made->socket >= 0)
      close(made->socket);
    free(made);
    return error;
  }
  *connection = made;
  return VIX_OK;
}

VixError
VixDiskLib_Disconnect(VixDiskLibConnection connection)
{
  Request request;
  Answer answer;

  if (!connection)
    return VIX_E_DISK_INVALID_CONNECTION;
  log_line("VixDiskLib: VixDiskLib_Disconnect: Disconnect.");
  request_begin(&request, "Disconnect");
  /* A lab that is gone has disconnected already. */
  lab_ask(connection->socket, &request, &answer);
  close(connection->socket);
  free(connection);
  return VIX_OK;
}

#ifndef WITHOUT_ACCESS

static VixError
ask_for_access(const char *name, const VixDiskLibConnectParams *params, const char *identity)
{
  Request request;
  Answer answer;

  if (!library.ready)
    return VIX_E_DISK_NOINIT;
  if (!params || !params->serverName || !params->vmxSpec || !identity ||
      strlen(identity) > MAX_IDENTITY)
    return VIX_E_INVALID_ARG;
  log_line("VixDiskLib: VixDiskLib_%s: %s for %s.", name, params->vmxSpec, identity);
  VixError error = begin_login(&request, name, params);
  if (error != VIX_OK)
    return error;
  request_add(&request, "identity", identity);
  int lab = lab_connect(library.libdir);
  error = lab < 0 ? VIX_E_CANNOT_CONNECT_TO_HOST : lab_ask(lab, &request, &answer);
  explicit_bzero(&request, sizeof request);
  if (lab >= 0)
    close(lab);
  return error;
}

VixError
VixDiskLib_PrepareForAccess(const VixDiskLibConnectParams *params, const char *identity)
{
  return ask_for_access("PrepareForAccess", params, identity);
}

VixError
VixDiskLib_EndAccess(const VixDiskLibConnectParams *params, const char *identity)
{
  return ask_for_access("EndAccess", params, identity);
}

#endif

VixError
VixDiskLib_Create(VixDiskLibConnection connection, const char *path, const void *params,
                  void *progress, void *data)
{
  (void)connection, (void)params, (void)progress, (void)data;
  log_warning("VixDiskLib: VixDiskLib_Create: Cannot create the remote disk %s.", path);
  return VIX_E_NOT_SUPPORTED;
}
