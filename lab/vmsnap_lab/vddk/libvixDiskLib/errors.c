/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* Texts of errors, worded as in VMware's public list of VIX error codes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vixdisklib.h"

static const struct {
  VixError error;
  const char *text;
} TEXTS[] = {
  { VIX_OK, "The operation was successful" },
  { VIX_E_FAIL, "Unknown error" },
  { VIX_E_OUT_OF_MEMORY, "Memory allocation failed. Out of memory." },
  { VIX_E_INVALID_ARG, "One of the parameters was invalid" },
  { VIX_E_FILE_NOT_FOUND, "A file was not found" },
  { 5, "This function cannot be performed because the handle is executing another function" },
  { VIX_E_NOT_SUPPORTED, "The operation is not supported" },
  { VIX_E_FILE_ERROR, "A file access error occurred on the host or guest operating system" },
  { VIX_E_DISK_FULL, "An error occurred while writing a file; the disk is full. Data has not been "
                     "saved. Free some disk space and try again" },
  { 10, "The operation was canceled" },
  { VIX_E_FILE_READ_ONLY, "The file is write-protected" },
  { 13, "You do not have access rights to this file" },
  { 15, "The file is already in use" },
  { 20, "The command is not supported on remote objects" },
  { 21, "The file is too large" },
  { 22, "The file name is not valid" },
  { 26, "Not connected to the host" },
  { 32, "The license is not valid" },
  { 35, "Unable to authenticate" },
  { 36, "The connection to the host was lost" },
  { 1000, "The handle is not a valid VIX object" },
  { 3014, "Insufficient permissions in the host operating system" },
  { 3046, "There are too many logons" },
  { 3047, "The authentication session is not valid" },
  { 4000, "The virtual machine cannot be found" },
  { 13003, "The snapshot was not found" },
  { 14007, "A socket could not be created" },
  { 14008, "The specified server could not be contacted" },
  { 14009, "The server refused connection" },
  { VIX_E_HOST_TCP_SOCKET_ERROR, "There was an error in communication" },
  { VIX_E_HOST_TCP_CONN_LOST, "The connection was lost" },
  { 14014, "The server is shutting down or entering maintenance mode" },
  { 14015, "The server is not available" },
  { VIX_E_DISK_INVAL, "One of the parameters supplied is invalid" },
  { VIX_E_DISK_NOINIT, "The disk library has not been initialized" },
  { 16002, "The called function requires the virtual disk to be opened for I/O" },
  { 16003, "The called function cannot be performed on partial chains. Open the parent virtual "
           "disk" },
  { 16006, "The specified virtual disk needs repair" },
  { VIX_E_DISK_OUTOFRANGE, "You have requested access to an area of the virtual disk that is out "
                           "of bounds" },
  { 16008, "The parent virtual disk has been modified since the child was created" },
  { VIX_E_DISK_SUBSYSTEM_INIT_FAIL, "The disk subsystem could not be initialized" },
  { VIX_E_DISK_INVALID_CONNECTION, "The connection is not valid" },
  { 16064, "You do not have a license for this feature" },
  { VIX_E_CANNOT_CONNECT_TO_HOST, "Cannot connect to host" },
};

char *
VixDiskLib_GetErrorText(VixError error, const char *locale)
{
  (void)locale;
  char unlisted[64];

  for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
    if (TEXTS[i].error == error)
      return strdup(TEXTS[i].text);
  }
  snprintf(unlisted, sizeof unlisted, "Unknown error 0x%llx", (unsigned long long)error);
  return strdup(unlisted);
}

void
VixDiskLib_FreeErrorText(char *text)
{
  free(text);
}
