/*
 * The part of the NVML ABI that the adapter uses, written from its published layout (NVML 13.3.29) so that the C compiler, and not our
 * own tables, decides where members lie.
 */
#ifndef FAKE_NVML_H
#define FAKE_NVML_H

typedef int nvmlReturn_t;
typedef struct fake_device *nvmlDevice_t;
typedef unsigned long long u64;

typedef struct {
  char busIdLegacy[16];
  unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32];
} nvmlPciInfo_t;

typedef struct {
  u64 total, free, used;
} nvmlMemory_t;

typedef struct {
  unsigned int version;
  u64 total, reserved, free, used;
} nvmlMemory_v2_t;

typedef struct {
  unsigned int version;
  int sensorType; /* an enum */
  int temperature;
} nvmlTemperature_v1_t;

typedef struct {
  unsigned int version;
  int marginTemperature;
} nvmlMarginTemperature_v1_t;

typedef union {
  double dVal;
  int siVal;
  unsigned int uiVal;
  unsigned long ulVal;
  u64 ullVal;
  long long sllVal;
  unsigned short usVal;
} nvmlValue_t;

typedef struct {
  unsigned int fieldId, scopeId;
  long long timestamp, latencyUsec;
  int valueType; /* an enum */
  nvmlReturn_t nvmlReturn;
  nvmlValue_t value;
} nvmlFieldValue_t;

typedef struct {
  unsigned int gpu, memory;
} nvmlUtilization_t;

typedef struct {
  unsigned int version;
  u64 aggregateUncParity, aggregateUncSecDed, aggregateCor;
  u64 volatileUncParity, volatileUncSecDed, volatileCor;
  u64 aggregateUncBucketL2, aggregateUncBucketSm, aggregateUncBucketPcie, aggregateUncBucketMcu, aggregateUncBucketOther;
  unsigned int bThresholdExceeded;
} nvmlEccSramErrorStatus_v1_t;

typedef struct {
  unsigned int multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount, sharedJpegCount, sharedOfaCount;
  unsigned int gpuInstanceSliceCount, computeInstanceSliceCount;
  u64 memorySizeMB;
} nvmlDeviceAttributes_t;

#define STRUCT_VERSION(type, revision) ((unsigned int)sizeof(type) | ((revision) << 24u))
#endif
