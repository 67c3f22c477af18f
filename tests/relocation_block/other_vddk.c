/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
/* A VDDK that is not the lab's: as old as 6.5, without AllocateConnectParams. It keeps nothing but tells
 * on standard output what it is given, the password, too. Built with CRASH, PrepareForAccess crashes.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void Log(const char *format, va_list arguments);

typedef struct {
  char *vmxSpec, *serverName, *thumbPrint;
  long privateUse;
  int credType;
  struct {
    char *userName, *password, *unused;
  } uid;
  uint32_t port, nfcHostPort;
  char *vimApiVer;
  char reserved[8];
  void *state;
} Params;

static Log *warn;

static void
say(const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  warn(format, arguments);
  va_end(arguments);
}

uint64_t
VixDiskLib_InitEx(uint32_t major, uint32_t minor, Log *log, Log *warning, Log *panic,
                  const char *libdir, const char *config)
{
  warn = warning;
  return major == 6 && minor == 5 && log && panic && libdir && config ? 0 : 3;
}

void
VixDiskLib_Exit(void)
{
  puts("exited");
  fflush(stdout);
}

char *
VixDiskLib_GetErrorText(uint64_t error, const char *locale)
{
  (void)locale;
  return strdup(error == 99 ? "Ninety-nine" : "Other");
}

void
VixDiskLib_FreeErrorText(char *text)
{
  free(text);
}

uint64_t
VixDiskLib_PrepareForAccess(const Params *params, const char *identity)
{
  printf("%s %s %s %u %s %s for %s\n", params->vmxSpec, params->serverName, params->thumbPrint,
         params->port, params->uid.userName, params->uid.password, identity);
  fflush(stdout);
  if (params->credType != 1 || params->privateUse || params->nfcHostPort || params->state)
    return 3;
#ifdef CRASH
  abort();
#endif
  say("a %s of %d numbers: %lld %.1f %c", "line", 3, 1LL << 40, 0.5, 'c');
  return 99;
}

uint64_t
VixDiskLib_EndAccess(const Params *params, const char *identity)
{
  printf("EndAccess %s %s\n", params->vmxSpec, identity);
  fflush(stdout);
  return 0;
}
