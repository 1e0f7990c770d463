/*
 * MIG: modes, devices, instances, profiles. Keys of a GPU:
 *
 *   mig.current, mig.pending 0|1;  mig.max N
 *   mig.rc.M CODE             what the lookup of MIG device M is answered with
 *   profile.P ID SLICES INSTANCES SMS MEBIBYTES [NAME]   GPU instance profile number P (0 to 18); none: NOT_SUPPORTED
 *   profile.remaining.ID N    how many more of profile ID fit; none: NO_PERMISSION, as for those who are not root
 *   profile.placements.ID SIZE:START,START
 *   instance.GI PROFILE START SIZE   a GPU instance, seen by those who are root (instances.visible 1)
 *
 * MIG device M of GPU I is "I.M"; without a "uuid" it is a hole. It has gi, ci, sms, slices.gpu, slices.compute, slices.memory and
 * whatever else a device has.
 */
#include "fake_core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_PERMISSION 4
#define PROFILE_COUNT 19
#define INSTANCE_MAGIC 0x4d494749u

struct fake_gpu_instance {
  unsigned int magic, id;
  nvmlDevice_t device;
};

PAIR(nvmlDeviceGetMigMode, "mig.current", "mig.pending")
U32(nvmlDeviceGetMaxMigDeviceCount, "mig.max")
U32(nvmlDeviceGetGpuInstanceId, "gi")
U32(nvmlDeviceGetComputeInstanceId, "ci")

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
  u64 gpu = 0, compute = 0, sms = 0;
  nvmlReturn_t code = enter_device("nvmlDeviceGetAttributes_v2", d, &name);
  if (!code) code = read_u64(name, "slices.gpu", &gpu);
  if (!code) code = read_u64(name, "slices.compute", &compute);
  if (!code) code = read_u64(name, "slices.memory", &out->memorySizeMB);
  if (code) return code;
  read_u64(name, "sms", &sms);
  out->multiprocessorCount = (unsigned int)sms;
  out->gpuInstanceSliceCount = (unsigned int)gpu;
  out->computeInstanceSliceCount = (unsigned int)compute;
  return SUCCESS;
}

static nvmlReturn_t read_profile(const char *function, nvmlDevice_t d, unsigned int profile, nvmlGpuInstanceProfileInfo_v2_t *out) {
  const char *name;
  char key[32], text[160], spelt[96] = "";
  nvmlReturn_t code = enter_device(function, d, &name);
  if (code) return code;
  if (profile >= PROFILE_COUNT) return INVALID_ARGUMENT;
  snprintf(key, sizeof key, "profile.%u", profile);
  if (!get(name, key, text, sizeof text)) return NOT_SUPPORTED;
  sscanf(text, "%u %u %u %u %llu %95[^\n]", &out->id, &out->sliceCount, &out->instanceCount, &out->multiprocessorCount,
         &out->memorySizeMB, spelt);
  snprintf(out->name, sizeof out->name, "%s", spelt);
  return SUCCESS;
}
API nvmlDeviceGetGpuInstanceProfileInfoV(nvmlDevice_t d, unsigned int profile, nvmlGpuInstanceProfileInfo_v2_t *out) {
  if (out->version != STRUCT_VERSION(nvmlGpuInstanceProfileInfo_v2_t, 2u)) return VERSION_MISMATCH;
  return read_profile("nvmlDeviceGetGpuInstanceProfileInfoV", d, profile, out);
}
API nvmlDeviceGetGpuInstanceProfileInfo(nvmlDevice_t d, unsigned int profile, nvmlGpuInstanceProfileInfo_t *out) {
  nvmlGpuInstanceProfileInfo_v2_t newer;
  memset(&newer, 0, sizeof newer);
  nvmlReturn_t code = read_profile("nvmlDeviceGetGpuInstanceProfileInfo", d, profile, &newer);
  if (code) return code;
  memset(out, 0, sizeof *out);
  out->id = newer.id;
  out->sliceCount = newer.sliceCount;
  out->instanceCount = newer.instanceCount;
  out->multiprocessorCount = newer.multiprocessorCount;
  out->memorySizeMB = newer.memorySizeMB;
  return SUCCESS;
}

API nvmlDeviceGetGpuInstanceRemainingCapacity(nvmlDevice_t d, unsigned int id, unsigned int *out) {
  char key[40];
  snprintf(key, sizeof key, "profile.remaining.%u", id);
  nvmlReturn_t code = read_u32("nvmlDeviceGetGpuInstanceRemainingCapacity", d, key, out);
  return code == NOT_SUPPORTED ? NO_PERMISSION : code;
}

/* The caller's room is not told: as in the real library the array must be large enough. */
API nvmlDeviceGetGpuInstancePossiblePlacements_v2(nvmlDevice_t d, unsigned int id, nvmlGpuInstancePlacement_t *out, unsigned int *count) {
  const char *name;
  char key[40], text[160];
  nvmlReturn_t code = enter_device("nvmlDeviceGetGpuInstancePossiblePlacements_v2", d, &name);
  if (code) return code;
  snprintf(key, sizeof key, "profile.placements.%u", id);
  if (!get(name, key, text, sizeof text)) return NO_PERMISSION;
  char *rest = text;
  unsigned int size = (unsigned int)strtoul(strsep(&rest, ":"), NULL, 10), have = 0;
  for (char *start; (start = strsep(&rest, ",")); have++)
    if (out) out[have] = (nvmlGpuInstancePlacement_t){(unsigned int)strtoul(start, NULL, 10), size};
  *count = have;
  return SUCCESS;
}

API nvmlDeviceGetGpuInstances(nvmlDevice_t d, unsigned int profile, nvmlGpuInstance_t *out, unsigned int *count) {
  static struct fake_gpu_instance instances[64 * 16];
  static unsigned int used;
  const char *name;
  u64 visible = 0;
  nvmlReturn_t code = enter_device("nvmlDeviceGetGpuInstances", d, &name);
  if (code) return code;
  if (read_u64(name, "instances.visible", &visible) || !visible) return NO_PERMISSION;
  *count = 0;
  for (unsigned int id = 0; id < 16; id++) {
    char key[32], text[64];
    snprintf(key, sizeof key, "instance.%u", id);
    if (!get(name, key, text, sizeof text) || strtoul(text, NULL, 10) != profile) continue;
    unsigned int slot = 0;
    while (slot < used && (instances[slot].device != d || instances[slot].id != id)) slot++;
    if (slot == used) {
      if (used == 64 * 16) abort();
      instances[used++] = (struct fake_gpu_instance){INSTANCE_MAGIC, id, d};
    }
    out[(*count)++] = &instances[slot];
  }
  return SUCCESS;
}

API nvmlGpuInstanceGetInfo(nvmlGpuInstance_t instance, nvmlGpuInstanceInfo_t *out) {
  char key[32], text[64];
  const char *name;
  if (!instance || instance->magic != INSTANCE_MAGIC) return INVALID_ARGUMENT;
  nvmlReturn_t code = enter_device("nvmlGpuInstanceGetInfo", instance->device, &name);
  if (code) return code;
  snprintf(key, sizeof key, "instance.%u", instance->id);
  if (!get(name, key, text, sizeof text)) return NOT_FOUND;
  out->device = instance->device;
  out->id = instance->id;
  sscanf(text, "%u %u %u", &out->profileId, &out->placement.start, &out->placement.size);
  return SUCCESS;
}
