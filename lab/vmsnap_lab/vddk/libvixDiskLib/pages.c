/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
#include "pages.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

void *
page_map(const char *path)
{
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0)
    return NULL;
  void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return page == MAP_FAILED ? NULL : page;
}

void
page_unmap(void *page)
{
  if (page)
    munmap(page, PAGE);
}

uint64_t
now_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

VixError
failure_next(Failure *failure)
{
  if (__atomic_load_n(&failure->times, __ATOMIC_ACQUIRE) <= 0)
    return VIX_OK;
  if (__atomic_fetch_sub(&failure->skip, 1, __ATOMIC_RELAXED) > 0)
    return VIX_OK;
  if (__atomic_fetch_sub(&failure->times, 1, __ATOMIC_RELAXED) <= 0)
    return VIX_OK;
  return failure->error;
}

void
count(uint64_t *counter, uint64_t amount)
{
  __atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

void
count_most(uint64_t *counter, uint64_t value)
{
  uint64_t known = __atomic_load_n(counter, __ATOMIC_RELAXED);

  while (known < value && !__atomic_compare_exchange_n(counter, &known, value, false,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}
