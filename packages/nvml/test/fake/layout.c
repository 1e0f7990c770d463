/* Prints what the compiler made of fake_nvml.h: "struct size" and "struct.member offset size" lines. */
#include "fake_nvml.h"
#include <stddef.h>
#include <stdio.h>

#define S(type) printf(#type " %zu\n", sizeof(type));
#define V(type, revision) printf(#type " version %u\n", STRUCT_VERSION(type, revision));
#define M(type, member) printf(#type "." #member " %zu %zu\n", offsetof(type, member), sizeof(((type *)0)->member));

int main(void) {
  S(nvmlPciInfo_t) M(nvmlPciInfo_t, busIdLegacy) M(nvmlPciInfo_t, domain) M(nvmlPciInfo_t, bus) M(nvmlPciInfo_t, device)
  M(nvmlPciInfo_t, pciDeviceId) M(nvmlPciInfo_t, pciSubSystemId) M(nvmlPciInfo_t, busId)
  S(nvmlMemory_t) M(nvmlMemory_t, total) M(nvmlMemory_t, free) M(nvmlMemory_t, used)
  S(nvmlMemory_v2_t) V(nvmlMemory_v2_t, 2u) M(nvmlMemory_v2_t, version) M(nvmlMemory_v2_t, total) M(nvmlMemory_v2_t, reserved)
  M(nvmlMemory_v2_t, free) M(nvmlMemory_v2_t, used)
  S(nvmlTemperature_v1_t) V(nvmlTemperature_v1_t, 1u) M(nvmlTemperature_v1_t, version) M(nvmlTemperature_v1_t, sensorType)
  M(nvmlTemperature_v1_t, temperature)
  S(nvmlMarginTemperature_v1_t) V(nvmlMarginTemperature_v1_t, 1u) M(nvmlMarginTemperature_v1_t, version)
  M(nvmlMarginTemperature_v1_t, marginTemperature)
  S(nvmlFieldValue_t) M(nvmlFieldValue_t, fieldId) M(nvmlFieldValue_t, scopeId) M(nvmlFieldValue_t, timestamp)
  M(nvmlFieldValue_t, latencyUsec) M(nvmlFieldValue_t, valueType) M(nvmlFieldValue_t, nvmlReturn) M(nvmlFieldValue_t, value)
  S(nvmlUtilization_t) M(nvmlUtilization_t, gpu) M(nvmlUtilization_t, memory)
  S(nvmlEccSramErrorStatus_v1_t) V(nvmlEccSramErrorStatus_v1_t, 1u) M(nvmlEccSramErrorStatus_v1_t, version)
  M(nvmlEccSramErrorStatus_v1_t, aggregateUncParity) M(nvmlEccSramErrorStatus_v1_t, aggregateUncSecDed)
  M(nvmlEccSramErrorStatus_v1_t, aggregateCor) M(nvmlEccSramErrorStatus_v1_t, volatileUncParity)
  M(nvmlEccSramErrorStatus_v1_t, volatileUncSecDed) M(nvmlEccSramErrorStatus_v1_t, volatileCor)
  M(nvmlEccSramErrorStatus_v1_t, aggregateUncBucketL2) M(nvmlEccSramErrorStatus_v1_t, aggregateUncBucketSm)
  M(nvmlEccSramErrorStatus_v1_t, aggregateUncBucketPcie) M(nvmlEccSramErrorStatus_v1_t, aggregateUncBucketMcu)
  M(nvmlEccSramErrorStatus_v1_t, aggregateUncBucketOther) M(nvmlEccSramErrorStatus_v1_t, bThresholdExceeded)
  S(nvmlDeviceAttributes_t) M(nvmlDeviceAttributes_t, multiprocessorCount) M(nvmlDeviceAttributes_t, sharedCopyEngineCount)
  M(nvmlDeviceAttributes_t, sharedDecoderCount) M(nvmlDeviceAttributes_t, sharedEncoderCount) M(nvmlDeviceAttributes_t, sharedJpegCount)
  M(nvmlDeviceAttributes_t, sharedOfaCount) M(nvmlDeviceAttributes_t, gpuInstanceSliceCount)
  M(nvmlDeviceAttributes_t, computeInstanceSliceCount) M(nvmlDeviceAttributes_t, memorySizeMB)
  return 0;
}
