/*
 * A stand-in for libnvidia-ml.so.1 whose devices and faults come from the text file named by FAKE_NVML_CONFIG. Lines:
 *
 *   set DEVICE KEY VALUE          a reading; DEVICE is an index, "i.m" for MIG device m of GPU i, or "sys". No line: NOT_SUPPORTED
 *   rc FUNCTION DEVICE CODE       FUNCTION (or "*") on DEVICE (or "*") returns CODE
 *   mode FUNCTION DEVICE MODE     hang | spin | lock | abort | segfault | noise | slow:MILLISECONDS
 *   latency MICROSECONDS          every call keeps the CPU busy for so long
 *   log FILE                      one line per call: FUNCTION DEVICE
 *
 * Of several lines for the same thing the first counts. The file is looked at again by nvmlInit and by every handle lookup, so a fault
 * can be put in and taken out while a process runs.
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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x4e564d4cu
#define MAX_DEVICES 64
static struct fake_device devices[MAX_DEVICES];
static int device_count, initialized;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The file, cut into its lines, and a hash table of them by all words but the last: "set 0 name", "log". */
struct entry {
  const char *key, *value;
};
static struct entry *table;
static size_t table_size;
static char *config;
static struct stat config_stat;
static int mode_count, rc_count;
static long latency_ns;
static char log_path[512];
static int log_fd = -1;

static size_t hash(const char *text, size_t length) {
  u64 value = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < length; i++) value = (value ^ (unsigned char)text[i]) * 0x100000001b3ull;
  return (size_t)(value ^ (value >> 32));
}

static struct entry *slot(const char *key, size_t length) {
  if (!table_size) return NULL;
  for (size_t at = hash(key, length) & (table_size - 1);; at = (at + 1) & (table_size - 1)) {
    struct entry *entry = &table[at];
    if (!entry->key || (strncmp(entry->key, key, length) == 0 && entry->key[length] == 0)) return entry;
  }
}

/* What follows `prefix` (words, each with a space behind it) on the first line that starts with it. */
static const char *line_after(const char *prefix) {
  size_t length = strlen(prefix);
  struct entry *entry = length ? slot(prefix, length - 1) : NULL;
  return entry ? entry->value : NULL;
}

int find_line(const char *prefix, char *out, size_t size) {
  const char *value = line_after(prefix);
  if (!value) return 0;
  snprintf(out, size, "%s", value);
  return 1;
}

static void load_config(void) {
  const char *path = getenv("FAKE_NVML_CONFIG");
  struct stat now;
  if (!path || stat(path, &now)) return;
  if (config && now.st_ino == config_stat.st_ino && now.st_size == config_stat.st_size &&
      memcmp(&now.st_mtim, &config_stat.st_mtim, sizeof now.st_mtim) == 0 &&
      memcmp(&now.st_ctim, &config_stat.st_ctim, sizeof now.st_ctim) == 0)
    return;
  FILE *file = fopen(path, "r");
  if (!file) return;
  const size_t most = 1 << 20;
  char *text = calloc(1, most);
  size_t length = fread(text, 1, most - 1, file), lines = 1;
  fclose(file);
  for (size_t i = 0; i < length; i++) lines += text[i] == '\n';
  free(config);
  free(table);
  config = text;
  config_stat = now;
  mode_count = rc_count = 0;
  table_size = 64;
  while (table_size < lines * 2) table_size *= 2;
  table = calloc(table_size, sizeof *table);
  for (char *line = text, *next; line; line = next) {
    if ((next = strchr(line, '\n'))) *next++ = 0;
    int words = strncmp(line, "set ", 4) == 0 || strncmp(line, "rc ", 3) == 0 || strncmp(line, "mode ", 5) == 0 ? 3 : 1;
    char *value = line;
    while (words-- && value) value = strchr(value + (value != line), ' ');
    if (!value) continue;
    *value++ = 0;
    struct entry *entry = slot(line, strlen(line));
    if (!entry->key) entry->key = line, entry->value = value;
    mode_count += strncmp(line, "mode ", 5) == 0;
    rc_count += strncmp(line, "rc ", 3) == 0;
  }
  const char *latency = line_after("latency ");
  latency_ns = latency ? atol(latency) * 1000 : 0;
  const char *log = line_after("log ");
  if (!log) log = "";
  if (strcmp(log, log_path) != 0) {
    if (log_fd >= 0) close(log_fd);
    snprintf(log_path, sizeof log_path, "%s", log);
    log_fd = log_path[0] ? open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;
  }
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

/* "VERB ONE TWO ", without the cost of snprintf: this is the path of every call. */
static const char *look_up(const char *verb, const char *one, const char *two) {
  char prefix[192];
  size_t length = 0;
  for (const char *parts[] = {verb, one, two}, **part = parts; part < parts + 3; part++) {
    size_t more = strlen(*part);
    if (length + more + 2 > sizeof prefix) return NULL;
    memcpy(prefix + length, *part, more);
    length += more;
    prefix[length++] = ' ';
  }
  prefix[length] = 0;
  return line_after(prefix);
}

int get(const char *device, const char *key, char *out, size_t size) {
  const char *value = look_up("set", device, key);
  if (!value) return 0;
  snprintf(out, size, "%s", value);
  return 1;
}

static const char *rule(const char *verb, const char *function, const char *device) {
  const char *functions[] = {function, "*"}, *names[] = {device, "*"};
  for (int f = 0; f < 2; f++)
    for (int d = 0; d < 2; d++) {
      const char *value = look_up(verb, functions[f], names[d]);
      if (value) return value;
    }
  return NULL;
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

static void keep_busy(long nanoseconds) {
  struct timespec from, now;
  clock_gettime(CLOCK_MONOTONIC, &from);
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < nanoseconds);
}

/* Logs the call and applies the faults: nonzero is the code to return. */
nvmlReturn_t enter(const char *function, const char *device) {
  if (log_fd >= 0) dprintf(log_fd, "%s %s\n", function, device);
  if (latency_ns > 0) keep_busy(latency_ns);
  const char *mode = mode_count ? rule("mode", function, device) : NULL;
  if (mode) misbehave(mode);
  const char *code = rc_count ? rule("rc", function, device) : NULL;
  return code ? atoi(code) : SUCCESS;
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
  const char *value = look_up("set", name, key);
  if (!value) return NOT_SUPPORTED;
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
/* The unversioned name is the older ABI: the same value. */
API nvmlSystemGetCudaDriverVersion(int *out) {
  u64 value;
  nvmlReturn_t code = enter("nvmlSystemGetCudaDriverVersion", "sys");
  if (!code) code = read_u64("sys", "cuda", &value);
  if (!code) *out = (int)value;
  return code;
}
API nvmlSystemGetDriverBranch(nvmlSystemDriverBranchInfo_v1_t *info, unsigned int length) {
  if (info->version != STRUCT_VERSION(nvmlSystemDriverBranchInfo_v1_t, 1u)) return VERSION_MISMATCH;
  if (length > sizeof info->branch) length = sizeof info->branch;
  return system_text("nvmlSystemGetDriverBranch", "branch", info->branch, length);
}
API nvmlSystemGetConfComputeState(nvmlConfComputeSystemState_t *state) {
  u64 value;
  nvmlReturn_t code = enter("nvmlSystemGetConfComputeState", "sys");
  if (!code) code = read_u64("sys", "cc", &value);
  if (!code) memset(state, 0, sizeof *state), state->ccFeature = (unsigned int)value;
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

