/* MIG: modes, devices, instances, profiles. */
#include "fake_core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

