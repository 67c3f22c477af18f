/* SPDX-FileCopyrightText: 2026 The bareos-vmsnap authors
 * SPDX-License-Identifier: AGPL-3.0-only
 */
#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

static const char ADDRESS_FILE[] = "lab-address";
static const char UNRESERVED[] =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/";

static void
append(Request *request, char byte)
{
  if (request->length + 1 < sizeof request->line)
    request->line[request->length++] = byte;
  else
    request->too_long = true;
}

static void
append_encoded(Request *request, const char *text)
{
  static const char DIGITS[] = "0123456789ABCDEF";

  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    if (strchr(UNRESERVED, *c)) {
      append(request, (char)*c);
    } else {
      append(request, '%');
      append(request, DIGITS[*c >> 4]);
      append(request, DIGITS[*c & 15]);
    }
  }
}

void
request_begin(Request *request, const char *name)
{
  request->length = 0;
  request->too_long = false;
  append_encoded(request, name);
}

void
request_add(Request *request, const char *name, const char *text)
{
  if (!text)
    return;
  append(request, ' ');
  append_encoded(request, name);
  append(request, '=');
  append_encoded(request, text);
}

void
request_add_number(Request *request, const char *name, uint64_t number)
{
  char text[24];

  snprintf(text, sizeof text, "%llu", (unsigned long long)number);
  request_add(request, name, text);
}

static bool
send_all(int socket, const char *bytes, size_t length)
{
  while (length > 0) {
    ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent <= 0)
      return false;
    bytes += sent;
    length -= (size_t)sent;
  }
  return true;
}

static bool
receive_line(int socket, Answer *answer)
{
  answer->length = 0;
  while (answer->length + 1 < sizeof answer->line) {
    char *end = answer->line + answer->length;
    ssize_t got = recv(socket, end, sizeof answer->line - 1 - answer->length, 0);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    answer->length += (size_t)got;
    if (answer->line[answer->length - 1] == '\n') {
      answer->line[answer->length - 1] = '\0';
      return true;
    }
  }
  return false;
}

static int
digit(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

static void
decode(char *text)
{
  char *to = text;

  for (const char *from = text; *from; from++) {
    if (*from == '%' && digit(from[1]) >= 0 && digit(from[2]) >= 0) {
      *to++ = (char)(digit(from[1]) << 4 | digit(from[2]));
      from += 2;
    } else {
      *to++ = *from;
    }
  }
  *to = '\0';
}

static void
parse(Answer *answer)
{
  char *rest = answer->line;
  char *word = strsep(&rest, " ");

  answer->error = strtoull(word, NULL, 10);
  answer->fields = 0;
  while (answer->fields < MAX_FIELDS && (word = strsep(&rest, " "))) {
    char *value = strchr(word, '=');
    if (!value)
      continue;
    *value++ = '\0';
    decode(value);
    answer->names[answer->fields] = word;
    answer->values[answer->fields] = value;
    answer->fields++;
  }
}

static void
log_answer(const Answer *answer)
{
  for (size_t i = 0; i < answer->fields; i++) {
    if (strcmp(answer->names[i], "log") == 0)
      log_line("%s", answer->values[i]);
    else if (strcmp(answer->names[i], "warn") == 0)
      log_warning("%s", answer->values[i]);
  }
}

VixError
lab_ask(int socket, Request *request, Answer *answer)
{
  append(request, '\n');
  if (request->too_long)
    return VIX_E_INVALID_ARG;
  bool answered = send_all(socket, request->line, request->length) && receive_line(socket, answer);
  explicit_bzero(request->line, sizeof request->line);
  if (!answered) {
    answer->fields = 0;
    return answer->error = VIX_E_CANNOT_CONNECT_TO_HOST;
  }
  parse(answer);
  log_answer(answer);
  return answer->error;
}

const char *
answer_text(const Answer *answer, const char *name)
{
  for (size_t i = 0; i < answer->fields; i++) {
    if (strcmp(answer->names[i], name) == 0)
      return answer->values[i];
  }
  return NULL;
}

uint64_t
answer_number(const Answer *answer, const char *name)
{
  const char *text = answer_text(answer, name);

  return text ? strtoull(text, NULL, 10) : 0;
}

int
lab_connect(const char *libdir)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  char path[4096];
  FILE *file;

  if (snprintf(path, sizeof path, "%s/%s", libdir, ADDRESS_FILE) >= (int)sizeof path)
    return -1;
  if (!(file = fopen(path, "re")))
    return -1;
  size_t length = fread(address.sun_path, 1, sizeof address.sun_path - 1, file);
  fclose(file);
  address.sun_path[length] = '\0';

  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made >= 0 && connect(made, (struct sockaddr *)&address, sizeof address) != 0) {
    close(made);
    return -1;
  }
  return made;
}
