/*
 * Processes and accounting. Keys of a device (of a GPU "0", of a MIG device "0.1"):
 *
 *   process.compute LIST      PID:BYTES[:GPU_INSTANCE:COMPUTE_INSTANCE], by commas; BYTES "na" is the driver's "not available", instances
 *   process.graphics LIST     that are left out are all ones; "none" is the empty list, no line at all NOT_SUPPORTED
 *   process.mps LIST
 *   process.refusals N        the first N calls that bring an array are told that it is too small, as when processes start meanwhile
 *   process.util LIST         PID:MICROSECONDS:SM:MEMORY:ENCODER:DECODER, by commas; those that are not newer than asked for are left out;
 *                             NOT_FOUND when nothing is left
 *   accounting.mode 0|1, accounting.buffer N
 *   accounting.pids PID,PID   or "none"
 *   accounting.PID GPU MEMORY MAXBYTES MILLISECONDS START RUNNING
 *
 * "set sys process.stride 32" makes the v3 lists of the early 535 drivers, whose entries are 8 bytes longer.
 */
#include "fake_core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_INSTANCE 0xffffffffu
#define LIST_SIZE 8192

static u64 bytes_of(const char *text) { return strcmp(text, "na") == 0 ? ~0ull : strtoull(text, NULL, 0); }

static unsigned int count_entries(const char *list) {
  if (strcmp(list, "none") == 0) return 0;
  unsigned int count = 1;
  for (; *list; list++) count += *list == ',';
  return count;
}

/* One more array of this device is refused. */
static int is_refused(const char *device, const char *function) {
  static struct {
    char device[16];
    const char *function;
    u64 count;
  } refused[64];
  u64 wanted = 0;
  read_u64(device, "process.refusals", &wanted);
  for (int i = 0; i < 64; i++) {
    if (refused[i].function && (strcmp(refused[i].device, device) != 0 || strcmp(refused[i].function, function) != 0)) continue;
    snprintf(refused[i].device, 16, "%s", device);
    refused[i].function = function;
    return refused[i].count++ < wanted;
  }
  return 0;
}

static nvmlReturn_t running(const char *function, nvmlDevice_t d, const char *key, unsigned int *count, char *out, size_t stride) {
  const char *name;
  char list[LIST_SIZE];
  nvmlReturn_t code = enter_device(function, d, &name);
  if (code) return code;
  if (!get(name, key, list, sizeof list)) return NOT_SUPPORTED;
  unsigned int have = count_entries(list), room = *count;
  *count = have;
  if (out && room && is_refused(name, function)) {
    *count = room;
    return INSUFFICIENT_SIZE;
  }
  if (have > room || (have && !out)) return INSUFFICIENT_SIZE;
  char *rest = list;
  for (unsigned int i = 0; i < have; i++, out += stride) {
    nvmlProcessDetail_v1_t entry = {0, 0, NO_INSTANCE, NO_INSTANCE, 0};
    char bytes[32] = "na";
    sscanf(strsep(&rest, ","), "%u:%31[^:]:%u:%u", &entry.pid, bytes, &entry.gpuInstanceId, &entry.computeInstanceId);
    entry.usedGpuMemory = bytes_of(bytes);
    entry.usedGpuCcProtectedMemory = 0x0cc0cc0cc0cc0cc0ull; /* somebody who reads with the wrong stride takes this for a pid */
    memcpy(out, &entry, stride);
  }
  return SUCCESS;
}

static size_t stride_v3(void) {
  u64 stride = sizeof(nvmlProcessInfo_t);
  read_u64("sys", "process.stride", &stride);
  return stride;
}

#define LISTS(kind, key) \
  API nvmlDeviceGet##kind##RunningProcesses(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_v1_t *out) { \
    return running("nvmlDeviceGet" #kind "RunningProcesses", d, key, count, (char *)out, sizeof *out); \
  } \
  API nvmlDeviceGet##kind##RunningProcesses_v2(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_t *out) { \
    return running("nvmlDeviceGet" #kind "RunningProcesses_v2", d, key, count, (char *)out, sizeof *out); \
  } \
  API nvmlDeviceGet##kind##RunningProcesses_v3(nvmlDevice_t d, unsigned int *count, nvmlProcessInfo_t *out) { \
    return running("nvmlDeviceGet" #kind "RunningProcesses_v3", d, key, count, (char *)out, stride_v3()); \
  }
LISTS(Compute, "process.compute")
LISTS(Graphics, "process.graphics")
LISTS(MPSCompute, "process.mps")

/* Only whether they are exported matters: that tells how long an entry of the v3 lists is. */
API nvmlDeviceGetConfComputeMemSizeInfo(nvmlDevice_t d, void *out) {
  const char *name;
  (void)out;
  nvmlReturn_t code = enter_device("nvmlDeviceGetConfComputeMemSizeInfo", d, &name);
  return code ? code : NOT_SUPPORTED;
}
API nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t d, nvmlProcessDetailList_v1_t *list) {
  if (list->version != STRUCT_VERSION(nvmlProcessDetailList_v1_t, 1u)) return VERSION_MISMATCH;
  const char *keys[] = {"process.compute", "process.graphics", "process.mps"};
  if (list->mode > 2) return INVALID_ARGUMENT;
  return running("nvmlDeviceGetRunningProcessDetailList", d, keys[list->mode], &list->numProcArrayEntries, (char *)list->procArray,
                 sizeof *list->procArray);
}

/* The samples newer than `since`, into as much room as there is; the count of all of them. */
static unsigned int samples(char *list, u64 since, nvmlProcessUtilizationSample_t *out, unsigned int room) {
  unsigned int have = 0;
  if (strcmp(list, "none") == 0) return 0;
  for (char *rest = list, *text; (text = strsep(&rest, ","));) {
    nvmlProcessUtilizationSample_t s = {0};
    sscanf(text, "%u:%llu:%u:%u:%u:%u", &s.pid, &s.timeStamp, &s.smUtil, &s.memUtil, &s.encUtil, &s.decUtil);
    if (s.timeStamp <= since) continue;
    if (have < room) out[have] = s;
    have++;
  }
  return have;
}

API nvmlDeviceGetProcessUtilization(nvmlDevice_t d, nvmlProcessUtilizationSample_t *out, unsigned int *count, u64 since) {
  const char *name;
  char list[LIST_SIZE];
  nvmlReturn_t code = enter_device("nvmlDeviceGetProcessUtilization", d, &name);
  if (code) return code;
  if (!get(name, "process.util", list, sizeof list)) return NOT_SUPPORTED;
  unsigned int room = out ? *count : 0, have = samples(list, since, out, room);
  if (!have) return NOT_FOUND;
  *count = have;
  return have > room ? INSUFFICIENT_SIZE : SUCCESS;
}

API nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t d, nvmlProcessesUtilizationInfo_v1_t *info) {
  const char *name;
  char list[LIST_SIZE];
  nvmlProcessUtilizationSample_t found[256];
  nvmlReturn_t code = enter_device("nvmlDeviceGetProcessesUtilizationInfo", d, &name);
  if (code) return code;
  if (info->version != STRUCT_VERSION(nvmlProcessesUtilizationInfo_v1_t, 1u)) return VERSION_MISMATCH;
  if (!get(name, "process.util", list, sizeof list)) return NOT_SUPPORTED;
  unsigned int room = info->procUtilArray ? info->processSamplesCount : 0;
  unsigned int have = samples(list, info->lastSeenTimeStamp, found, 256);
  if (!have) return NOT_FOUND;
  info->processSamplesCount = have;
  if (have > room) return INSUFFICIENT_SIZE;
  for (unsigned int i = 0; i < have; i++) {
    const nvmlProcessUtilizationSample_t *s = &found[i];
    info->procUtilArray[i] =
        (nvmlProcessUtilizationInfo_v1_t){s->timeStamp, s->pid, s->smUtil, s->memUtil, s->encUtil, s->decUtil, 0, 0};
  }
  return SUCCESS;
}

U32(nvmlDeviceGetAccountingMode, "accounting.mode")
U32(nvmlDeviceGetAccountingBufferSize, "accounting.buffer")

API nvmlDeviceGetAccountingPids(nvmlDevice_t d, unsigned int *count, unsigned int *pids) {
  const char *name;
  char list[LIST_SIZE];
  nvmlReturn_t code = enter_device("nvmlDeviceGetAccountingPids", d, &name);
  if (code) return code;
  if (!get(name, "accounting.pids", list, sizeof list)) return NOT_SUPPORTED;
  unsigned int have = count_entries(list), room = *count;
  *count = have;
  if (have > room || (have && !pids)) return INSUFFICIENT_SIZE;
  char *rest = list;
  for (unsigned int i = 0; i < have; i++) pids[i] = (unsigned int)strtoul(strsep(&rest, ","), NULL, 10);
  return SUCCESS;
}

API nvmlDeviceGetAccountingStats(nvmlDevice_t d, unsigned int pid, nvmlAccountingStats_t *out) {
  const char *name;
  char key[32], text[160], most[32] = "na";
  nvmlReturn_t code = enter_device("nvmlDeviceGetAccountingStats", d, &name);
  if (code) return code;
  snprintf(key, sizeof key, "accounting.%u", pid);
  if (!get(name, key, text, sizeof text)) return NOT_FOUND;
  memset(out, 0, sizeof *out);
  sscanf(text, "%u %u %31s %llu %llu %u", &out->gpuUtilization, &out->memoryUtilization, most, &out->time, &out->startTime,
         &out->isRunning);
  out->maxMemoryUsage = bytes_of(most);
  return SUCCESS;
}
