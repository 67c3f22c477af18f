/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
#include "engine.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "library.h"
#include "plainfile.h"

/* The depth at which a block is allocated: 0 for nowhere, 1 for the file itself. */
static const char DEPTH[] = "qemu:allocation-depth";

typedef struct Task {
  Operation operation;
  Engine *engine;
  VixError result;
  uint64_t due; /* when it may complete, CLOCK_MONOTONIC, nanoseconds */
  struct Task *next;
  Job job;
} Task;

struct Engine {
  struct nbd_handle *nbd; /* NULL if there is a file */
  PlainFile *file;
  Ledger *ledger;
  uint64_t size;
  int wake; /* an eventfd: there is something to do besides the socket's events */
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows; never held while libnbd is called */
  pthread_cond_t idle;
  unsigned pending;
  Task *done;
  bool stopping;
};

static void
wake(Engine *engine)
{
  uint64_t one = 1;
  ssize_t written = write(engine->wake, &one, sizeof one);
  (void)written; /* full: it is awake anyway */
}

static VixError
error_of(int number)
{
  switch (number) {
  case 0:
    return VIX_OK;
  case ENOSPC:
    return VIX_E_DISK_FULL;
  case EPERM:
    return VIX_E_FILE_READ_ONLY;
  case ENOTCONN:
  case ESHUTDOWN:
  case ECONNRESET:
    return VIX_E_HOST_TCP_CONN_LOST;
  default:
    return VIX_E_FILE_ERROR;
  }
}

static uint64_t
due(void)
{
  uint64_t delay = library.switches->delay;

  return delay ? now_ns() + delay : 0;
}

static void
end(Task *task, VixError result)
{
  Engine *engine = task->engine;

  task->result = result;
  pthread_mutex_lock(&engine->lock);
  task->next = engine->done;
  engine->done = task;
  pthread_mutex_unlock(&engine->lock);
  if (!pthread_equal(pthread_self(), engine->thread)) /* that one looks by itself */
    wake(engine);
}

/* Called by libnbd, with its lock held: only note it. */
static int
complete(void *data, int *error)
{
  end(data, error_of(*error));
  return 1;
}

static int
take_extents(void *data, const char *context, uint64_t offset, uint32_t *entries, size_t count,
             int *error)
{
  Task *task = data;

  (void)context, (void)offset, (void)error;
  for (size_t i = 0; i + 1 < count; i += 2)
    task->operation.status(task->operation.status_data, entries[i], entries[i + 1]);
  return 0;
}

/* Take the tasks that may complete; `wait` is set to the milliseconds until the next may, or -1. */
static Task *
take_due(Engine *engine, int *wait)
{
  Task *ready = NULL, **link = &engine->done;
  uint64_t now = now_ns(), earliest = UINT64_MAX;

  while (*link) {
    Task *task = *link;
    if (task->due <= now) {
      *link = task->next;
      task->next = ready;
      ready = task;
    } else {
      earliest = task->due < earliest ? task->due : earliest;
      link = &task->next;
    }
  }
  *wait = earliest == UINT64_MAX ? -1 : (int)((earliest - now) / 1000000 + 1);
  return ready;
}

static void
finish(Engine *engine, Task *task)
{
  if (task->result != VIX_OK)
    count(&engine->ledger->failures, 1);
  /* Before the callback: a caller who waits for it may make the next request at once. */
  __atomic_fetch_sub(&engine->ledger->in_flight, 1, __ATOMIC_RELAXED);
  task->operation.callback(task->operation.data, task->result);
  free(task);
  pthread_mutex_lock(&engine->lock);
  if (--engine->pending == 0) {
    pthread_cond_broadcast(&engine->idle);
    if (engine->stopping)
      wake(engine);
  }
  pthread_mutex_unlock(&engine->lock);
}

/* Called by a thread of the file's: what need not be late completes there. */
static void
complete_job(Job *job, int error)
{
  Task *task = (Task *)((char *)job - offsetof(Task, job));

  if (task->due) {
    end(task, error_of(error));
  } else {
    task->result = error_of(error);
    finish(task->engine, task);
  }
}

static void
serve_socket(Engine *engine, int timeout)
{
  int direction = engine->nbd ? (int)nbd_aio_get_direction(engine->nbd) : 0;
  short events = 0;

  if (direction & LIBNBD_AIO_DIRECTION_READ)
    events |= POLLIN;
  if (direction & LIBNBD_AIO_DIRECTION_WRITE)
    events |= POLLOUT;
  struct pollfd polled[] = {
    { .fd = engine->wake, .events = POLLIN },
    { .fd = events ? nbd_aio_get_fd(engine->nbd) : -1, .events = events },
  };
  if (poll(polled, 2, timeout) <= 0)
    return;
  if (polled[0].revents) {
    uint64_t taken;
    ssize_t got = read(engine->wake, &taken, sizeof taken);
    (void)got; /* nothing there: another thread was faster */
  }
  /* A request may have moved the connection on since: then libnbd ignores what does not fit. */
  if (polled[1].revents & (POLLIN | POLLHUP | POLLERR))
    nbd_aio_notify_read(engine->nbd);
  else if (polled[1].revents & POLLOUT)
    nbd_aio_notify_write(engine->nbd);
}

static void *
serve(void *data)
{
  Engine *engine = data;

  for (;;) {
    int timeout;
    pthread_mutex_lock(&engine->lock);
    Task *ready = take_due(engine, &timeout);
    bool over = engine->stopping && engine->pending == 0;
    pthread_mutex_unlock(&engine->lock);
    if (over)
      return NULL;
    if (!ready)
      serve_socket(engine, timeout);
    while (ready) {
      Task *task = ready;
      ready = task->next;
      finish(engine, task);
    }
  }
}

static struct nbd_handle *
connect_to(const char *socket)
{
  struct nbd_handle *nbd = nbd_create();

  if (!nbd)
    return NULL;
  /* The buffer of a failed read is not used. */
  if (nbd_set_pread_initialize(nbd, false) == 0 && nbd_add_meta_context(nbd, DEPTH) == 0 &&
      nbd_connect_unix(nbd, socket) == 0 && nbd_can_meta_context(nbd, DEPTH) == 1)
    return nbd;
  nbd_close(nbd);
  return NULL;
}

/* Where the disk is, and how large. */
static bool
reach(Engine *engine, const char *socket, const char *file, bool writable)
{
  if (file) {
    engine->file = plainfile_open(file, writable);
    engine->size = engine->file ? plainfile_size(engine->file) : 0;
    return engine->file;
  }
  engine->nbd = connect_to(socket);
  int64_t size = engine->nbd ? nbd_get_size(engine->nbd) : 0;
  engine->size = size < 0 ? 0 : (uint64_t)size;
  return engine->nbd;
}

static void
release(Engine *engine)
{
  if (engine->file)
    plainfile_close(engine->file);
  if (engine->nbd)
    nbd_close(engine->nbd);
  if (engine->wake >= 0)
    close(engine->wake);
  pthread_mutex_destroy(&engine->lock);
  pthread_cond_destroy(&engine->idle);
  free(engine);
}

Engine *
engine_start(const char *socket, const char *file, bool writable, Ledger *ledger)
{
  Engine *engine = calloc(1, sizeof *engine);

  if (!engine)
    return NULL;
  pthread_mutex_init(&engine->lock, NULL);
  pthread_cond_init(&engine->idle, NULL);
  engine->ledger = ledger;
  engine->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ledger->last_call = now_ns();
  if (engine->wake >= 0 && reach(engine, socket, file, writable) &&
      pthread_create(&engine->thread, NULL, serve, engine) == 0)
    return engine;
  release(engine);
  return NULL;
}

void
engine_stop(Engine *engine)
{
  pthread_mutex_lock(&engine->lock);
  engine->stopping = true;
  pthread_mutex_unlock(&engine->lock);
  wake(engine);
  pthread_join(engine->thread, NULL);
  if (engine->nbd)
    nbd_shutdown(engine->nbd, 0); /* fails if the connection is lost already */
  release(engine);
}

uint64_t
engine_size(Engine *engine)
{
  return engine->size;
}

static int64_t
issue(Engine *engine, Task *task)
{
  const Operation *operation = &task->operation;
  nbd_completion_callback completion = { .callback = complete, .user_data = task };
  nbd_extent_callback extents = { .callback = take_extents, .user_data = task };

  switch (operation->kind) {
  case OP_READ:
    return nbd_aio_pread(engine->nbd, operation->buffer, operation->length, operation->offset,
                         completion, 0);
  case OP_WRITE:
    return nbd_aio_pwrite(engine->nbd, operation->buffer, operation->length, operation->offset,
                          completion, 0);
  case OP_FLUSH:
    return nbd_aio_flush(engine->nbd, completion, 0);
  case OP_STATUS:
    return nbd_aio_block_status(engine->nbd, operation->length, operation->offset, extents,
                                completion, 0);
  }
  return -1;
}

VixError
engine_submit(Engine *engine, const Operation *operation)
{
  Task *task = malloc(sizeof *task);

  if (!task)
    return VIX_E_OUT_OF_MEMORY;
  *task = (Task){ .operation = *operation, .engine = engine, .due = due() };
  pthread_mutex_lock(&engine->lock);
  engine->pending++;
  pthread_mutex_unlock(&engine->lock);
  uint64_t others = __atomic_fetch_add(&engine->ledger->in_flight, 1, __ATOMIC_RELAXED);
  count_most(&engine->ledger->most_in_flight, others + 1);
  if (operation->error != VIX_OK) {
    end(task, operation->error);
    return VIX_ASYNC;
  }
  if (engine->file) {
    task->job = (Job){ .operation = &task->operation, .done = complete_job };
    plainfile_submit(engine->file, &task->job);
    return VIX_ASYNC;
  }
  if (issue(engine, task) >= 0) {
    if (nbd_aio_get_direction(engine->nbd) & LIBNBD_AIO_DIRECTION_WRITE)
      wake(engine); /* the thread does not wait for that yet */
    return VIX_ASYNC;
  }
  /* libnbd does not call back for what it did not take. */
  int number = nbd_get_errno();
  free(task);
  __atomic_fetch_sub(&engine->ledger->in_flight, 1, __ATOMIC_RELAXED);
  pthread_mutex_lock(&engine->lock);
  if (--engine->pending == 0)
    pthread_cond_broadcast(&engine->idle);
  pthread_mutex_unlock(&engine->lock);
  wake(engine);
  if (nbd_aio_is_dead(engine->nbd) == 1 || nbd_aio_is_closed(engine->nbd) == 1)
    return VIX_E_HOST_TCP_CONN_LOST;
  return number ? error_of(number) : VIX_E_FAIL;
}

typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool over;
  VixError result;
} Waiting;

static void
stop_waiting(void *data, VixError result)
{
  Waiting *waiting = data;

  pthread_mutex_lock(&waiting->lock);
  waiting->over = true;
  waiting->result = result;
  pthread_cond_signal(&waiting->changed);
  pthread_mutex_unlock(&waiting->lock);
}

VixError
engine_run(Engine *engine, const Operation *operation)
{
  Waiting waiting = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
  Operation waited = *operation;

  waited.callback = stop_waiting;
  waited.data = &waiting;
  VixError error = engine_submit(engine, &waited);
  if (error != VIX_ASYNC)
    return error;
  pthread_mutex_lock(&waiting.lock);
  while (!waiting.over)
    pthread_cond_wait(&waiting.changed, &waiting.lock);
  pthread_mutex_unlock(&waiting.lock);
  return waiting.result;
}

void
engine_wait(Engine *engine)
{
  pthread_mutex_lock(&engine->lock);
  while (engine->pending > 0)
    pthread_cond_wait(&engine->idle, &engine->lock);
  pthread_mutex_unlock(&engine->lock);
}
