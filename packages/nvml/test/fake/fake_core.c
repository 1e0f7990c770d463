/*
 * A stand-in for libnvidia-ml.so.1 whose devices and faults come from the text file named by FAKE_NVML_CONFIG. Lines:
 *
 *   set DEVICE KEY VALUE          a reading; DEVICE is an index, "i.m" for MIG device m of GPU i, or "sys". No line: NOT_SUPPORTED
 *   rc FUNCTION DEVICE CODE       FUNCTION (or "*") on DEVICE (or "*") returns CODE
 *   mode FUNCTION DEVICE MODE     hang | spin | lock | abort | segfault | slow:MILLISECONDS
 *   log FILE                      one line per call: FUNCTION DEVICE
 *
 * The file is read again by nvmlInit and by every handle lookup, so a fault can be put in and taken out while a process runs.
 * The linker decides which of the functions are exported: one driver branch or another (exports.ts).
 */
#define _GNU_SOURCE
#include "fake_core.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x4e564d4cu
#define MAX_DEVICES 64
static struct fake_device devices[MAX_DEVICES];
static int device_count, initialized;
static char *config;
static char log_path[512];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The rest of the first line that starts with `prefix`. */
int find_line(const char *prefix, char *out, size_t size) {
  size_t length = strlen(prefix);
  for (const char *line = config; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    if (strncmp(line, prefix, length) != 0) continue;
    size_t rest = strcspn(line + length, "\n");
    if (rest >= size) rest = size - 1;
    memcpy(out, line + length, rest);
    out[rest] = 0;
    return 1;
  }
  return 0;
}

static void load_config(void) {
  const char *path = getenv("FAKE_NVML_CONFIG");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return;
  char *text = calloc(1, 1 << 18);
  size_t length = fread(text, 1, (1 << 18) - 1, file);
  text[length] = 0;
  fclose(file);
  free(config);
  config = text;
  log_path[0] = 0;
  find_line("log ", log_path, sizeof log_path);
}

const char *device_name(nvmlDevice_t device) {
  if (device < devices || device >= devices + MAX_DEVICES || device->magic != MAGIC) return NULL;
  return device->name;
}

nvmlDevice_t device_for(const char *name) {
  for (int i = 0; i < device_count; i++)
    if (strcmp(devices[i].name, name) == 0) return &devices[i];
  if (device_count == MAX_DEVICES) abort();
  nvmlDevice_t device = &devices[device_count++];
  device->magic = MAGIC;
  snprintf(device->name, sizeof device->name, "%s", name);
  return device;
}

int get(const char *device, const char *key, char *out, size_t size) {
  char prefix[160];
  snprintf(prefix, sizeof prefix, "set %s %s ", device, key);
  return find_line(prefix, out, size);
}

static int rule(const char *verb, const char *function, const char *device, char *out, size_t size) {
  const char *functions[] = {function, "*"}, *names[] = {device, "*"};
  char prefix[160];
  for (int f = 0; f < 2; f++)
    for (int d = 0; d < 2; d++) {
      snprintf(prefix, sizeof prefix, "%s %s %s ", verb, functions[f], names[d]);
      if (find_line(prefix, out, size)) return 1;
    }
  return 0;
}

static void misbehave(const char *mode) {
  if (strcmp(mode, "hang") == 0)
    for (;;) pause();
  if (strcmp(mode, "spin") == 0)
    for (volatile unsigned long i = 0;; i++) {
    }
  if (strcmp(mode, "lock") == 0)
    for (;;) pthread_mutex_lock(&lock);
  if (strcmp(mode, "abort") == 0) abort();
  if (strcmp(mode, "segfault") == 0) {
    signal(SIGSEGV, SIG_DFL);
    *(volatile int *)8 = 1;
  }
  if (strcmp(mode, "noise") == 0) {
    for (int i = 0; i < 2000; i++) printf("{\"id\":%d,\"result\":null}\n", i), fprintf(stderr, "noise\n");
    fflush(stdout);
  }
  if (strncmp(mode, "slow:", 5) == 0) {
    long ms = atol(mode + 5);
    struct timespec wait = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&wait, NULL);
  }
}

/* Logs the call and applies the faults: nonzero is the code to return. */
nvmlReturn_t enter(const char *function, const char *device) {
  char text[64];
  if (log_path[0]) {
    int fd = open(log_path, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (fd >= 0) {
      dprintf(fd, "%s %s\n", function, device);
      close(fd);
    }
  }
  if (rule("mode", function, device, text, sizeof text)) misbehave(text);
  if (rule("rc", function, device, text, sizeof text)) return atoi(text);
  return SUCCESS;
}

nvmlReturn_t enter_device(const char *function, nvmlDevice_t device, const char **name) {
  *name = device_name(device);
  if (!initialized) return UNINITIALIZED;
  if (!*name) return INVALID_ARGUMENT;
  return enter(function, *name);
}

nvmlReturn_t read_text(const char *function, nvmlDevice_t device, const char *key, char *out, unsigned int length) {
  const char *name;
  char value[256];
  nvmlReturn_t code = enter_device(function, device, &name);
  if (code) return code;
  if (!get(name, key, value, sizeof value)) return NOT_SUPPORTED;
  if (strlen(value) + 1 > length) return INSUFFICIENT_SIZE;
  strcpy(out, value);
  return SUCCESS;
}

nvmlReturn_t read_u64(const char *name, const char *key, u64 *out) {
  char value[64];
  if (!get(name, key, value, sizeof value)) return NOT_SUPPORTED;
  *out = value[0] == '-' ? (u64)strtoll(value, NULL, 0) : strtoull(value, NULL, 0);
  return SUCCESS;
}

nvmlReturn_t read_u32(const char *function, nvmlDevice_t device, const char *key, unsigned int *out) {
  const char *name;
  u64 value;
  nvmlReturn_t code = enter_device(function, device, &name);
  if (!code) code = read_u64(name, key, &value);
  if (!code) *out = (unsigned int)value;
  return code;
}

nvmlReturn_t read_pair(const char *function, nvmlDevice_t device, const char *one, unsigned int *a, const char *two, unsigned int *b) {
  const char *name;
  u64 first, second;
  nvmlReturn_t code = enter_device(function, device, &name);
  if (!code) code = read_u64(name, one, &first);
  if (!code) code = read_u64(name, two, &second);
  if (!code) *a = (unsigned int)first, *b = (unsigned int)second;
  return code;
}

nvmlReturn_t read_long(const char *function, nvmlDevice_t device, const char *key, u64 *out) {
  const char *name;
  nvmlReturn_t code = enter_device(function, device, &name);
  return code ? code : read_u64(name, key, out);
}

nvmlReturn_t system_text(const char *function, const char *key, char *out, unsigned int length) {
  char value[128];
  nvmlReturn_t code = enter(function, "sys");
  if (code) return code;
  if (!get("sys", key, value, sizeof value)) return NOT_SUPPORTED;
  if (strlen(value) + 1 > length) return INSUFFICIENT_SIZE;
  strcpy(out, value);
  return SUCCESS;
}

API nvmlInit_v2(void) {
  load_config();
  nvmlReturn_t code = enter("nvmlInit_v2", "sys");
  if (!code) initialized++;
  return code;
}
API nvmlShutdown(void) {
  nvmlReturn_t code = enter("nvmlShutdown", "sys");
  if (!code && initialized) initialized--;
  return code;
}
API nvmlSystemGetDriverVersion(char *out, unsigned int n) { return system_text("nvmlSystemGetDriverVersion", "driver", out, n); }
API nvmlSystemGetNVMLVersion(char *out, unsigned int n) { return system_text("nvmlSystemGetNVMLVersion", "nvml", out, n); }
API nvmlSystemGetCudaDriverVersion_v2(int *out) {
  u64 value;
  nvmlReturn_t code = enter("nvmlSystemGetCudaDriverVersion_v2", "sys");
  if (!code) code = read_u64("sys", "cuda", &value);
  if (!code) *out = (int)value;
  return code;
}
API nvmlDeviceGetCount_v2(unsigned int *out) {
  u64 value = 0;
  nvmlReturn_t code = enter("nvmlDeviceGetCount_v2", "sys");
  if (!initialized) return UNINITIALIZED;
  if (!code) code = read_u64("sys", "count", &value);
  if (!code) *out = (unsigned int)value;
  return code;
}
/* The v1 ABI under the unversioned name, as in the real library: it skips GPUs it may not open. Nobody should call it. */
API nvmlDeviceGetCount(unsigned int *out) {
  *out = 99;
  return SUCCESS;
}

API nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *out) {
  char name[16];
  u64 count = 0;
  load_config();
  if (!initialized) return UNINITIALIZED;
  read_u64("sys", "count", &count);
  if (index >= count) return INVALID_ARGUMENT;
  snprintf(name, sizeof name, "%u", index);
  nvmlReturn_t code = enter("nvmlDeviceGetHandleByIndex_v2", name);
  if (!code) *out = device_for(name);
  return code;
}
API nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *out) {
  u64 count = 0;
  read_u64("sys", "count", &count);
  for (unsigned int i = 0; i < count; i++) {
    char name[16], value[96];
    snprintf(name, sizeof name, "%u", i);
    if (!get(name, "uuid", value, sizeof value) || strcmp(value, uuid) != 0) continue;
    nvmlReturn_t code = enter("nvmlDeviceGetHandleByUUID", name);
    if (!code) *out = device_for(name);
    return code;
  }
  return NOT_FOUND;
}

