/*
 * A stand-in for libnvidia-ml.so.1 whose devices and faults come from the text file named by FAKE_NVML_CONFIG. Lines:
 *
 *   set DEVICE KEY VALUE          a reading; DEVICE is an index, "i.m" for MIG device m of GPU i, or "sys". No line: NOT_SUPPORTED
 *   rc FUNCTION DEVICE CODE       FUNCTION (or "*") on DEVICE (or "*") returns CODE
 *   mode FUNCTION DEVICE MODE     hang | spin | lock | abort | segfault | slow:MILLISECONDS
 *   log FILE                      one line per call: FUNCTION DEVICE
 *
 * The file is read again by nvmlInit and by every handle lookup, so a fault can be put in and taken out while a process runs.
 * FAKE_GENERATION 470 and 535 leave out the symbols that those driver branches do not export.
 */
#define _GNU_SOURCE
#include "fake_nvml.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef FAKE_GENERATION
#define FAKE_GENERATION 580
#endif
#define API __attribute__((visibility("default"))) nvmlReturn_t

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, VERSION_MISMATCH = 25 };

struct fake_device {
  unsigned int magic;
  char name[16];
};
#define MAGIC 0x4e564d4cu
#define MAX_DEVICES 64
static struct fake_device devices[MAX_DEVICES];
static int device_count, initialized;
static char *config;
static char log_path[512];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The rest of the first line that starts with `prefix`. */
static int find_line(const char *prefix, char *out, size_t size) {
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

static const char *device_name(nvmlDevice_t device) {
  if (device < devices || device >= devices + MAX_DEVICES || device->magic != MAGIC) return NULL;
  return device->name;
}

static nvmlDevice_t device_for(const char *name) {
  for (int i = 0; i < device_count; i++)
    if (strcmp(devices[i].name, name) == 0) return &devices[i];
  if (device_count == MAX_DEVICES) abort();
  nvmlDevice_t device = &devices[device_count++];
  device->magic = MAGIC;
  snprintf(device->name, sizeof device->name, "%s", name);
  return device;
}

static int get(const char *device, const char *key, char *out, size_t size) {
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
static nvmlReturn_t enter(const char *function, const char *device) {
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

static nvmlReturn_t enter_device(const char *function, nvmlDevice_t device, const char **name) {
  *name = device_name(device);
  if (!initialized) return UNINITIALIZED;
  if (!*name) return INVALID_ARGUMENT;
  return enter(function, *name);
}

static nvmlReturn_t read_text(const char *function, nvmlDevice_t device, const char *key, char *out, unsigned int length) {
  const char *name;
  char value[256];
  nvmlReturn_t code = enter_device(function, device, &name);
  if (code) return code;
  if (!get(name, key, value, sizeof value)) return NOT_SUPPORTED;
  if (strlen(value) + 1 > length) return INSUFFICIENT_SIZE;
  strcpy(out, value);
  return SUCCESS;
}

static nvmlReturn_t read_u64(const char *name, const char *key, u64 *out) {
  char value[64];
  if (!get(name, key, value, sizeof value)) return NOT_SUPPORTED;
  *out = value[0] == '-' ? (u64)strtoll(value, NULL, 0) : strtoull(value, NULL, 0);
  return SUCCESS;
}

static nvmlReturn_t read_u32(const char *function, nvmlDevice_t device, const char *key, unsigned int *out) {
  const char *name;
  u64 value;
  nvmlReturn_t code = enter_device(function, device, &name);
  if (!code) code = read_u64(name, key, &value);
  if (!code) *out = (unsigned int)value;
  return code;
}

static nvmlReturn_t read_pair(const char *function, nvmlDevice_t device, const char *one, unsigned int *a, const char *two, unsigned int *b) {
  const char *name;
  u64 first, second;
  nvmlReturn_t code = enter_device(function, device, &name);
  if (!code) code = read_u64(name, one, &first);
  if (!code) code = read_u64(name, two, &second);
  if (!code) *a = (unsigned int)first, *b = (unsigned int)second;
  return code;
}

static nvmlReturn_t read_long(const char *function, nvmlDevice_t device, const char *key, u64 *out) {
  const char *name;
  nvmlReturn_t code = enter_device(function, device, &name);
  return code ? code : read_u64(name, key, out);
}

static nvmlReturn_t system_text(const char *function, const char *key, char *out, unsigned int length) {
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

#define TEXT(function, key) \
  API function(nvmlDevice_t d, char *out, unsigned int n) { return read_text(#function, d, key, out, n); }
#define U32(function, key) \
  API function(nvmlDevice_t d, unsigned int *out) { return read_u32(#function, d, key, out); }
#define PAIR(function, one, two) \
  API function(nvmlDevice_t d, unsigned int *a, unsigned int *b) { return read_pair(#function, d, one, a, two, b); }
#define SELECTED(function, prefix) \
  API function(nvmlDevice_t d, unsigned int which, unsigned int *out) { \
    char key[64]; \
    snprintf(key, sizeof key, prefix "%u", which); \
    return read_u32(#function, d, key, out); \
  }

TEXT(nvmlDeviceGetUUID, "uuid")
TEXT(nvmlDeviceGetName, "name")
TEXT(nvmlDeviceGetSerial, "serial")
TEXT(nvmlDeviceGetBoardPartNumber, "part")
TEXT(nvmlDeviceGetVbiosVersion, "vbios")
TEXT(nvmlDeviceGetInforomImageVersion, "inforom")
U32(nvmlDeviceGetArchitecture, "arch")
U32(nvmlDeviceGetMinorNumber, "minor")
U32(nvmlDeviceGetPersistenceMode, "persistence")
PAIR(nvmlDeviceGetCudaComputeCapability, "cc.major", "cc.minor")
SELECTED(nvmlDeviceGetTemperature, "temp.")
SELECTED(nvmlDeviceGetTemperatureThreshold, "threshold.")
U32(nvmlDeviceGetFanSpeed, "fan.0")
SELECTED(nvmlDeviceGetFanSpeed_v2, "fan.")
U32(nvmlDeviceGetPowerUsage, "power")
U32(nvmlDeviceGetEnforcedPowerLimit, "power.enforced")
U32(nvmlDeviceGetPowerManagementDefaultLimit, "power.default")
PAIR(nvmlDeviceGetPowerManagementLimitConstraints, "power.min", "power.max")
SELECTED(nvmlDeviceGetClockInfo, "clock.")
SELECTED(nvmlDeviceGetMaxClockInfo, "maxclock.")
U32(nvmlDeviceGetPerformanceState, "pstate")
PAIR(nvmlDeviceGetEncoderUtilization, "util.enc", "util.period")
PAIR(nvmlDeviceGetDecoderUtilization, "util.dec", "util.period")
PAIR(nvmlDeviceGetEccMode, "ecc.current", "ecc.pending")
U32(nvmlDeviceGetRetiredPagesPendingStatus, "retired.pending")
U32(nvmlDeviceGetCurrPcieLinkGeneration, "pcie.gen")
U32(nvmlDeviceGetMaxPcieLinkGeneration, "pcie.maxgen")
U32(nvmlDeviceGetCurrPcieLinkWidth, "pcie.width")
U32(nvmlDeviceGetMaxPcieLinkWidth, "pcie.maxwidth")
U32(nvmlDeviceGetPcieReplayCounter, "pcie.replay")
PAIR(nvmlDeviceGetMigMode, "mig.current", "mig.pending")
U32(nvmlDeviceGetMaxMigDeviceCount, "mig.max")
U32(nvmlDeviceGetGpuInstanceId, "gi")
U32(nvmlDeviceGetComputeInstanceId, "ci")

API nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, u64 *out) {
  return read_long("nvmlDeviceGetTotalEnergyConsumption", d, "energy", out);
}
API nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t d, u64 *out) {
  return read_long("nvmlDeviceGetCurrentClocksThrottleReasons", d, "reasons", out);
}
API nvmlDeviceGetTotalEccErrors(nvmlDevice_t d, unsigned int type, unsigned int counter, u64 *out) {
  char key[64];
  snprintf(key, sizeof key, "ecc.total.%u.%u", type, counter);
  return read_long("nvmlDeviceGetTotalEccErrors", d, key, out);
}
API nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t d, unsigned int type, unsigned int counter, unsigned int location, u64 *out) {
  char key[64];
  snprintf(key, sizeof key, "ecc.at.%u.%u.%u", type, counter, location);
  return read_long("nvmlDeviceGetMemoryErrorCounter", d, key, out);
}

API nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *out) {
  char bus[32];
  nvmlReturn_t code = read_text("nvmlDeviceGetPciInfo_v3", d, "bus", bus, sizeof bus);
  if (code) return code;
  memset(out, 0, sizeof *out);
  memcpy(out->busId, bus, sizeof bus);
  snprintf(out->busIdLegacy, sizeof out->busIdLegacy, "%.15s", bus + 4);
  return SUCCESS;
}
API nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *out) {
  const char *name;
  u64 reserved = 0;
  nvmlReturn_t code = enter_device("nvmlDeviceGetMemoryInfo", d, &name);
  if (!code) code = read_u64(name, "mem.total", &out->total);
  if (!code) code = read_u64(name, "mem.used", &out->used);
  if (!code) code = read_u64(name, "mem.free", &out->free);
  if (!code && read_u64(name, "mem.reserved", &reserved) == SUCCESS) out->used += reserved;
  return code;
}
API nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *out) {
  return read_pair("nvmlDeviceGetUtilizationRates", d, "util.gpu", &out->gpu, "util.mem", &out->memory);
}
API nvmlDeviceGetRemappedRows(nvmlDevice_t d, unsigned int *corrected, unsigned int *uncorrected, unsigned int *pending, unsigned int *failure) {
  nvmlReturn_t code = read_pair("nvmlDeviceGetRemappedRows", d, "rows.corr", corrected, "rows.unc", uncorrected);
  u64 value = 0;
  if (code) return code;
  read_u64(d->name, "rows.pending", &value);
  *pending = (unsigned int)value;
  read_u64(d->name, "rows.failure", &value);
  *failure = (unsigned int)value;
  return SUCCESS;
}
static nvmlReturn_t retired(const char *function, nvmlDevice_t d, unsigned int cause, unsigned int *count, u64 *addresses) {
  char key[32];
  unsigned int have = 0;
  snprintf(key, sizeof key, "retired.%u", cause);
  nvmlReturn_t code = read_u32(function, d, key, &have);
  if (code) return code;
  unsigned int room = *count;
  *count = have;
  if (have > room || (have > 0 && !addresses)) return INSUFFICIENT_SIZE;
  for (unsigned int i = 0; i < have; i++) addresses[i] = 0x1000u * (i + 1);
  return SUCCESS;
}
API nvmlDeviceGetRetiredPages(nvmlDevice_t d, unsigned int cause, unsigned int *count, u64 *addresses) {
  return retired("nvmlDeviceGetRetiredPages", d, cause, count, addresses);
}
API nvmlDeviceGetRetiredPages_v2(nvmlDevice_t d, unsigned int cause, unsigned int *count, u64 *addresses, u64 *timestamps) {
  (void)timestamps;
  return retired("nvmlDeviceGetRetiredPages_v2", d, cause, count, addresses);
}

/* "field.ID TYPE VALUE" per id; "field.ID rc CODE" for one that fails by itself. */
API nvmlDeviceGetFieldValues(nvmlDevice_t d, int count, nvmlFieldValue_t *values) {
  const char *name;
  nvmlReturn_t code = enter_device("nvmlDeviceGetFieldValues", d, &name);
  if (code) return code;
  for (int i = 0; i < count; i++) {
    nvmlFieldValue_t *v = &values[i];
    char key[32], text[64], kind[16] = "";
    double number = 0;
    v->value.ullVal = 0;
    snprintf(key, sizeof key, "field.%u", v->fieldId);
    if (!get(name, key, text, sizeof text)) {
      v->nvmlReturn = NOT_SUPPORTED;
      continue;
    }
    sscanf(text, "%15s %lf", kind, &number);
    v->nvmlReturn = SUCCESS;
    if (strcmp(kind, "rc") == 0) v->nvmlReturn = (int)number;
    else if (strcmp(kind, "double") == 0) v->valueType = 0, v->value.dVal = number;
    else if (strcmp(kind, "uint") == 0) v->valueType = 1, v->value.uiVal = (unsigned int)(long long)number;
    else if (strcmp(kind, "ulong") == 0) v->valueType = 2, v->value.ulVal = (unsigned long)number;
    else if (strcmp(kind, "ull") == 0) v->valueType = 3, v->value.ullVal = (u64)number;
    else if (strcmp(kind, "sll") == 0) v->valueType = 4, v->value.sllVal = (long long)number;
    else if (strcmp(kind, "sint") == 0) v->valueType = 5, v->value.siVal = (int)number;
    else v->valueType = 6, v->value.usVal = (unsigned short)number;
  }
  return SUCCESS;
}

API nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t d, unsigned int index, nvmlDevice_t *out) {
  const char *name;
  char mig[16], uuid[96], key[32];
  nvmlReturn_t code = enter_device("nvmlDeviceGetMigDeviceHandleByIndex", d, &name);
  if (code) return code;
  snprintf(mig, sizeof mig, "%.8s.%u", name, index);
  snprintf(key, sizeof key, "mig.rc.%u", index);
  if (get(name, key, uuid, sizeof uuid)) return atoi(uuid);
  if (!get(mig, "uuid", uuid, sizeof uuid)) return NOT_FOUND;
  *out = device_for(mig);
  return SUCCESS;
}
API nvmlDeviceGetAttributes_v2(nvmlDevice_t d, nvmlDeviceAttributes_t *out) {
  const char *name;
  u64 gpu = 0, compute = 0;
  nvmlReturn_t code = enter_device("nvmlDeviceGetAttributes_v2", d, &name);
  if (!code) code = read_u64(name, "slices.gpu", &gpu);
  if (!code) code = read_u64(name, "slices.compute", &compute);
  if (!code) code = read_u64(name, "slices.memory", &out->memorySizeMB);
  if (code) return code;
  out->gpuInstanceSliceCount = (unsigned int)gpu;
  out->computeInstanceSliceCount = (unsigned int)compute;
  return SUCCESS;
}

#if FAKE_GENERATION >= 535
API nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *out) {
  const char *name;
  nvmlReturn_t code = enter_device("nvmlDeviceGetMemoryInfo_v2", d, &name);
  if (!code && out->version != STRUCT_VERSION(nvmlMemory_v2_t, 2u)) return VERSION_MISMATCH;
  if (!code) code = read_u64(name, "mem.total", &out->total);
  if (!code) code = read_u64(name, "mem.used", &out->used);
  if (!code) code = read_u64(name, "mem.free", &out->free);
  if (!code) code = read_u64(name, "mem.reserved", &out->reserved);
  return code;
}
API nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t d, u64 *out) {
  return read_long("nvmlDeviceGetCurrentClocksEventReasons", d, "reasons", out);
}
API nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t d, nvmlEccSramErrorStatus_v1_t *out) {
  const char *name;
  u64 exceeded = 0;
  nvmlReturn_t code = enter_device("nvmlDeviceGetSramEccErrorStatus", d, &name);
  if (!code && out->version != STRUCT_VERSION(nvmlEccSramErrorStatus_v1_t, 1u)) return VERSION_MISMATCH;
  if (!code) code = read_u64(name, "sram.vol.parity", &out->volatileUncParity);
  if (!code) code = read_u64(name, "sram.vol.secded", &out->volatileUncSecDed);
  if (!code) code = read_u64(name, "sram.agg.parity", &out->aggregateUncParity);
  if (!code) code = read_u64(name, "sram.agg.secded", &out->aggregateUncSecDed);
  if (!code) code = read_u64(name, "sram.exceeded", &exceeded);
  if (!code) out->bThresholdExceeded = (unsigned int)exceeded;
  return code;
}
#endif

#if FAKE_GENERATION >= 570
API nvmlDeviceGetTemperatureV(nvmlDevice_t d, nvmlTemperature_v1_t *out) {
  const char *name;
  u64 value;
  nvmlReturn_t code = enter_device("nvmlDeviceGetTemperatureV", d, &name);
  if (!code && out->version != STRUCT_VERSION(nvmlTemperature_v1_t, 1u)) return VERSION_MISMATCH;
  if (!code && out->sensorType != 0) return INVALID_ARGUMENT;
  if (!code) code = read_u64(name, "temp.0", &value);
  if (!code) out->temperature = (int)value;
  return code;
}
API nvmlDeviceGetMarginTemperature(nvmlDevice_t d, nvmlMarginTemperature_v1_t *out) {
  const char *name;
  u64 value;
  nvmlReturn_t code = enter_device("nvmlDeviceGetMarginTemperature", d, &name);
  if (!code && out->version != STRUCT_VERSION(nvmlMarginTemperature_v1_t, 1u)) return VERSION_MISMATCH;
  if (!code) code = read_u64(name, "margin", &value);
  if (!code) out->marginTemperature = (int)value;
  return code;
}
#endif
