/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
#define _GNU_SOURCE /* SEEK_DATA */
#include "plainfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 2 };

struct PlainFile {
  int descriptor;
  uint64_t size;
  unsigned running;
  pthread_t threads[THREADS];
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t changed;
  Job *first, **last;
  bool closing;
};

static int
move(int file, const Operation *operation)
{
  char *buffer = operation->buffer;
  uint64_t moved = 0;

  while (moved < operation->length) {
    size_t rest = operation->length - moved;
    off_t place = (off_t)(operation->offset + moved);
    ssize_t done = operation->kind == OP_READ ? pread(file, buffer + moved, rest, place)
                                              : pwrite(file, buffer + moved, rest, place);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return done < 0 ? errno : EIO;
    moved += (uint64_t)done;
  }
  return 0;
}

/* Call what is no hole allocated. */
static int
map(int file, const Operation *operation)
{
  off_t place = (off_t)operation->offset, end = place + (off_t)operation->length;

  while (place < end) {
    off_t data = lseek(file, place, SEEK_DATA);
    if (data < 0 && errno != ENXIO)
      return errno;
    if (data < 0 || data > end)
      data = end;
    if (data > place)
      operation->status(operation->status_data, (uint64_t)(data - place), 0);
    if (data == end)
      return 0;
    off_t hole = lseek(file, data, SEEK_HOLE);
    if (hole < 0)
      return errno;
    place = hole < end ? hole : end;
    operation->status(operation->status_data, (uint64_t)(place - data), 1);
  }
  return 0;
}

static int
perform(int file, const Operation *operation)
{
  switch (operation->kind) {
  case OP_READ:
  case OP_WRITE:
    return move(file, operation);
  case OP_FLUSH:
    return fdatasync(file) == 0 ? 0 : errno;
  case OP_STATUS:
    return map(file, operation);
  }
  return EINVAL;
}

/* Wait for a job; NULL at the end. */
static Job *
take(PlainFile *file)
{
  pthread_mutex_lock(&file->lock);
  while (!file->first && !file->closing)
    pthread_cond_wait(&file->changed, &file->lock);
  Job *job = file->first;
  if (job && !(file->first = job->next))
    file->last = &file->first;
  pthread_mutex_unlock(&file->lock);
  return job;
}

static void *
work(void *data)
{
  PlainFile *file = data;
  Job *job;

  while ((job = take(file)))
    job->done(job, perform(file->descriptor, job->operation));
  return NULL;
}

PlainFile *
plainfile_open(const char *path, bool writable)
{
  PlainFile *file = calloc(1, sizeof *file);
  struct stat status;

  if (!file)
    return NULL;
  pthread_mutex_init(&file->lock, NULL);
  pthread_cond_init(&file->changed, NULL);
  file->last = &file->first;
  file->descriptor = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (file->descriptor >= 0 && fstat(file->descriptor, &status) == 0) {
    file->size = (uint64_t)status.st_size;
    while (file->running < THREADS &&
           pthread_create(&file->threads[file->running], NULL, work, file) == 0)
      file->running++;
  }
  if (file->running)
    return file;
  plainfile_close(file);
  return NULL;
}

void
plainfile_close(PlainFile *file)
{
  pthread_mutex_lock(&file->lock);
  file->closing = true;
  pthread_cond_broadcast(&file->changed);
  pthread_mutex_unlock(&file->lock);
  while (file->running)
    pthread_join(file->threads[--file->running], NULL);
  if (file->descriptor >= 0)
    close(file->descriptor);
  pthread_mutex_destroy(&file->lock);
  pthread_cond_destroy(&file->changed);
  free(file);
}

uint64_t
plainfile_size(const PlainFile *file)
{
  return file->size;
}

void
plainfile_submit(PlainFile *file, Job *job)
{
  job->next = NULL;
  pthread_mutex_lock(&file->lock);
  *file->last = job;
  file->last = &job->next;
  pthread_cond_signal(&file->changed);
  pthread_mutex_unlock(&file->lock);
}
