/* Readings of one GPU. */
#include "fake_core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TEXT(nvmlDeviceGetUUID, "uuid")
TEXT(nvmlDeviceGetName, "name")
TEXT(nvmlDeviceGetSerial, "serial")
TEXT(nvmlDeviceGetBoardPartNumber, "part")
TEXT(nvmlDeviceGetVbiosVersion, "vbios")
TEXT(nvmlDeviceGetInforomImageVersion, "inforom")
U32(nvmlDeviceGetBoardId, "board.id")
U32(nvmlDeviceGetMultiGpuBoard, "board.multi")
U32(nvmlDeviceGetModuleId, "module")
U32(nvmlDeviceGetBrand, "brand")
U32(nvmlDeviceGetNumGpuCores, "cores")
U32(nvmlDeviceGetMemoryBusWidth, "buswidth")
U32(nvmlDeviceGetComputeMode, "computemode")
U32(nvmlDeviceGetVirtualizationMode, "virtualization")
PAIR(nvmlDeviceGetGspFirmwareMode, "gsp.enabled", "gsp.default")
U32(nvmlDeviceGetArchitecture, "arch")
U32(nvmlDeviceGetMinorNumber, "minor")
U32(nvmlDeviceGetPersistenceMode, "persistence")
PAIR(nvmlDeviceGetCudaComputeCapability, "cc.major", "cc.minor")
SELECTED(nvmlDeviceGetTemperature, "temp.")
SELECTED(nvmlDeviceGetTemperatureThreshold, "threshold.")
U32(nvmlDeviceGetNumFans, "fans")
SELECTED(nvmlDeviceGetTargetFanSpeed, "fan.target.")
U32(nvmlDeviceGetFanSpeed, "fan.0")
SELECTED(nvmlDeviceGetFanSpeed_v2, "fan.")
U32(nvmlDeviceGetPowerUsage, "power")
U32(nvmlDeviceGetEnforcedPowerLimit, "power.enforced")
U32(nvmlDeviceGetPowerManagementLimit, "power.requested")
U32(nvmlDeviceGetPowerManagementDefaultLimit, "power.default")
PAIR(nvmlDeviceGetPowerManagementLimitConstraints, "power.min", "power.max")
SELECTED(nvmlDeviceGetClockInfo, "clock.")
SELECTED(nvmlDeviceGetMaxClockInfo, "maxclock.")
SELECTED_PAIR(nvmlDeviceGetClock, "clockid.")
SELECTED(nvmlDeviceGetApplicationsClock, "appclock.")
SELECTED(nvmlDeviceGetDefaultApplicationsClock, "defaultclock.")
SELECTED(nvmlDeviceGetMaxCustomerBoostClock, "boostclock.")
U32(nvmlDeviceGetPerformanceState, "pstate")
PAIR(nvmlDeviceGetEncoderUtilization, "util.enc", "util.period")
PAIR(nvmlDeviceGetDecoderUtilization, "util.dec", "util.period")
PAIR(nvmlDeviceGetJpgUtilization, "util.jpg", "util.period")
PAIR(nvmlDeviceGetOfaUtilization, "util.ofa", "util.period")
PAIR(nvmlDeviceGetEccMode, "ecc.current", "ecc.pending")
U32(nvmlDeviceGetRetiredPagesPendingStatus, "retired.pending")
U32(nvmlDeviceGetCurrPcieLinkGeneration, "pcie.gen")
U32(nvmlDeviceGetMaxPcieLinkGeneration, "pcie.maxgen")
U32(nvmlDeviceGetGpuMaxPcieLinkGeneration, "pcie.devicegen")
U32(nvmlDeviceGetPcieSpeed, "pcie.speed")
U32(nvmlDeviceGetPcieLinkMaxSpeed, "pcie.maxspeed")
SELECTED(nvmlDeviceGetPcieThroughput, "pcie.throughput.")
U32(nvmlDeviceGetCurrPcieLinkWidth, "pcie.width")
U32(nvmlDeviceGetMaxPcieLinkWidth, "pcie.maxwidth")
U32(nvmlDeviceGetPcieReplayCounter, "pcie.replay")

API nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t d, u64 *out) {
  return read_long("nvmlDeviceGetTotalEnergyConsumption", d, "energy", out);
}
API nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t d, u64 *out) {
  return read_long("nvmlDeviceGetCurrentClocksThrottleReasons", d, "reasons", out);
}
API nvmlDeviceGetSupportedClocksThrottleReasons(nvmlDevice_t d, u64 *out) {
  return read_long("nvmlDeviceGetSupportedClocksThrottleReasons", d, "reasons.supported", out);
}
API nvmlDeviceGetSupportedClocksEventReasons(nvmlDevice_t d, u64 *out) {
  return read_long("nvmlDeviceGetSupportedClocksEventReasons", d, "reasons.supported", out);
}
API nvmlDeviceGetViolationStatus(nvmlDevice_t d, unsigned int policy, nvmlViolationTime_t *out) {
  char key[32];
  snprintf(key, sizeof key, "violation.%u", policy);
  out->referenceTime = 1;
  return read_long("nvmlDeviceGetViolationStatus", d, key, &out->violationTime);
}
API nvmlDeviceGetInforomVersion(nvmlDevice_t d, unsigned int object, char *out, unsigned int length) {
  char key[32];
  snprintf(key, sizeof key, "inforom.%u", object);
  return read_text("nvmlDeviceGetInforomVersion", d, key, out, length);
}
API nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t d, char *out) {
  return read_text("nvmlDeviceGetGspFirmwareVersion", d, "gsp.version", out, 64);
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

API nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t d, nvmlBAR1Memory_t *out) {
  const char *name;
  nvmlReturn_t code = enter_device("nvmlDeviceGetBAR1MemoryInfo", d, &name);
  if (!code) code = read_u64(name, "bar1.total", &out->bar1Total);
  if (!code) code = read_u64(name, "bar1.used", &out->bar1Used);
  if (!code) code = read_u64(name, "bar1.free", &out->bar1Free);
  return code;
}
API nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t d, nvmlRowRemapperHistogramValues_t *out) {
  const char *name;
  char text[128];
  nvmlReturn_t code = enter_device("nvmlDeviceGetRowRemapperHistogram", d, &name);
  if (code) return code;
  if (!get(name, "rows.histogram", text, sizeof text)) return NOT_SUPPORTED;
  sscanf(text, "%u %u %u %u %u", &out->max, &out->high, &out->partial, &out->low, &out->none);
  return SUCCESS;
}

static void set_value(nvmlFieldValue_t *v, const char *text) {
  char kind[16] = "", number[48] = "";
  sscanf(text, "%15s %47s", kind, number);
  v->nvmlReturn = SUCCESS;
  long long integer = number[0] == '-' ? strtoll(number, NULL, 0) : (long long)strtoull(number, NULL, 0);
  if (strcmp(kind, "rc") == 0) v->nvmlReturn = (int)integer;
  else if (strcmp(kind, "double") == 0) v->valueType = 0, v->value.dVal = strtod(number, NULL);
  else if (strcmp(kind, "uint") == 0) v->valueType = 1, v->value.uiVal = (unsigned int)integer;
  else if (strcmp(kind, "ulong") == 0) v->valueType = 2, v->value.ulVal = (unsigned long)integer;
  else if (strcmp(kind, "ull") == 0) v->valueType = 3, v->value.ullVal = (u64)integer;
  else if (strcmp(kind, "sll") == 0) v->valueType = 4, v->value.sllVal = integer;
  else if (strcmp(kind, "sint") == 0) v->valueType = 5, v->value.siVal = (int)integer;
  else if (strcmp(kind, "type") == 0) v->valueType = (int)integer; /* one that nobody knows */
  else v->valueType = 6, v->value.usVal = (unsigned short)integer;
}

/*
 * "field.ID TYPE VALUE" per id, or "field.ID.SCOPE TYPE VALUE" for one part of the GPU (without the plain key, scope 0 has no value
 * either); "rc CODE" instead of a value for one that fails by itself.
 */
API nvmlDeviceGetFieldValues(nvmlDevice_t d, int count, nvmlFieldValue_t *values) {
  const char *name;
  nvmlReturn_t code = enter_device("nvmlDeviceGetFieldValues", d, &name);
  if (code) return code;
  for (int i = 0; i < count; i++) {
    nvmlFieldValue_t *v = &values[i];
    char key[40], text[64];
    v->value.ullVal = 0;
    snprintf(key, sizeof key, "field.%u.%u", v->fieldId, v->scopeId);
    int found = get(name, key, text, sizeof text);
    if (!found && v->scopeId == 0) {
      snprintf(key, sizeof key, "field.%u", v->fieldId);
      found = get(name, key, text, sizeof text);
    }
    if (found) set_value(v, text);
    else v->nvmlReturn = NOT_SUPPORTED;
  }
  return SUCCESS;
}

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
  const struct {
    const char *key;
    u64 *out;
  } members[] = {
    {"sram.vol.parity", &out->volatileUncParity}, {"sram.vol.secded", &out->volatileUncSecDed},
    {"sram.vol.cor", &out->volatileCor},          {"sram.agg.parity", &out->aggregateUncParity},
    {"sram.agg.secded", &out->aggregateUncSecDed}, {"sram.agg.cor", &out->aggregateCor},
    {"sram.l2", &out->aggregateUncBucketL2},      {"sram.sm", &out->aggregateUncBucketSm},
    {"sram.pcie", &out->aggregateUncBucketPcie},  {"sram.mcu", &out->aggregateUncBucketMcu},
    {"sram.other", &out->aggregateUncBucketOther}, {"sram.exceeded", &exceeded},
  };
  for (size_t i = 0; !code && i < sizeof members / sizeof *members; i++) code = read_u64(name, members[i].key, members[i].out);
  if (!code) out->bThresholdExceeded = (unsigned int)exceeded;
  return code;
}

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
API nvmlDeviceGetFanSpeedRPM(nvmlDevice_t d, nvmlFanSpeedInfo_v1_t *out) {
  char key[32];
  if (out->version != STRUCT_VERSION(nvmlFanSpeedInfo_v1_t, 1u)) return VERSION_MISMATCH;
  snprintf(key, sizeof key, "fan.rpm.%u", out->fan);
  return read_u32("nvmlDeviceGetFanSpeedRPM", d, key, &out->speed);
}
API nvmlDeviceGetAddressingMode(nvmlDevice_t d, nvmlDeviceAddressingMode_v1_t *out) {
  if (out->version != STRUCT_VERSION(nvmlDeviceAddressingMode_v1_t, 1u)) return VERSION_MISMATCH;
  return read_u32("nvmlDeviceGetAddressingMode", d, "addressing", &out->value);
}
API nvmlDeviceGetRepairStatus(nvmlDevice_t d, nvmlRepairStatus_v1_t *out) {
  if (out->version != STRUCT_VERSION(nvmlRepairStatus_v1_t, 1u)) return VERSION_MISMATCH;
  return read_pair("nvmlDeviceGetRepairStatus", d, "repair.channel", &out->bChannelRepairPending, "repair.tpc", &out->bTpcRepairPending);
}
API nvmlDeviceGetUnrepairableMemoryFlag_v1(nvmlDevice_t d, nvmlUnrepairableMemoryStatus_v1_t *out) {
  return read_u32("nvmlDeviceGetUnrepairableMemoryFlag_v1", d, "repair.unrepairable", &out->bUnrepairableMemory);
}

/* "platform SLOT TRAY HOST MODULE SERIAL"; "platform.revision 1" for a driver that knows only the first revision of the struct. */
API nvmlDeviceGetPlatformInfo(nvmlDevice_t d, nvmlPlatformInfo_v2_t *out) {
  const char *name;
  char text[128], serial[17] = "";
  unsigned int slot, tray, host, module;
  u64 revision = 2;
  nvmlReturn_t code = enter_device("nvmlDeviceGetPlatformInfo", d, &name);
  if (code) return code;
  read_u64(name, "platform.revision", &revision);
  /* The two revisions differ in the names of their members, not in where these lie. */
  if (out->version != STRUCT_VERSION(nvmlPlatformInfo_v2_t, (unsigned int)revision)) return VERSION_MISMATCH;
  if (!get(name, "platform", text, sizeof text)) return NOT_SUPPORTED;
  sscanf(text, "%u %u %u %u %16s", &slot, &tray, &host, &module, serial);
  out->slotNumber = (unsigned char)slot, out->trayIndex = (unsigned char)tray;
  out->hostId = (unsigned char)host, out->moduleId = (unsigned char)module;
  memcpy(out->chassisSerialNumber, serial, sizeof out->chassisSerialNumber);
  return SUCCESS;
}

/*
 * Profiling. A metric is "gpm.ID VALUE" ("nan" too) or "gpm.ID rc CODE"; "gpm 0" is a GPU that has no counters. Samples are counted:
 * more than 4096 of them at a time is a leak, and ends in INSUFFICIENT_SIZE.
 */
#define GPM_MAGIC 0x47504d53u
struct fake_gpm_sample {
  unsigned int magic, sequence;
  char device[16];
};
static int live_samples;
static unsigned int sample_sequence;

API nvmlGpmQueryDeviceSupport(nvmlDevice_t d, nvmlGpmSupport_t *out) {
  if (out->version != 1) return VERSION_MISMATCH;
  return read_u32("nvmlGpmQueryDeviceSupport", d, "gpm", &out->isSupportedDevice);
}
API nvmlGpmSampleAlloc(nvmlGpmSample_t *out) {
  nvmlReturn_t code = enter("nvmlGpmSampleAlloc", "sys");
  if (code) return code;
  if (live_samples == 4096) return INSUFFICIENT_SIZE;
  live_samples++;
  *out = calloc(1, sizeof **out);
  (*out)->magic = GPM_MAGIC;
  return SUCCESS;
}
API nvmlGpmSampleFree(nvmlGpmSample_t sample) {
  nvmlReturn_t code = enter("nvmlGpmSampleFree", "sys");
  if (code) return code;
  if (!sample || sample->magic != GPM_MAGIC) abort(); /* as free(3) would */
  sample->magic = 0;
  free(sample);
  live_samples--;
  return SUCCESS;
}
API nvmlGpmSampleGet(nvmlDevice_t d, nvmlGpmSample_t sample) {
  const char *name;
  nvmlReturn_t code = enter_device("nvmlGpmSampleGet", d, &name);
  if (code) return code;
  if (!sample || sample->magic != GPM_MAGIC) return INVALID_ARGUMENT;
  sample->sequence = ++sample_sequence;
  snprintf(sample->device, sizeof sample->device, "%s", name);
  return SUCCESS;
}
static int is_filled(nvmlGpmSample_t sample) { return sample && sample->magic == GPM_MAGIC && sample->sequence; }
API nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *request) {
  if (request->version != 1) return VERSION_MISMATCH;
  if (!is_filled(request->sample1) || !is_filled(request->sample2)) return INVALID_ARGUMENT;
  if (request->sample1->sequence >= request->sample2->sequence) return INVALID_ARGUMENT;
  if (strcmp(request->sample1->device, request->sample2->device) != 0) return INVALID_ARGUMENT;
  nvmlReturn_t code = enter("nvmlGpmMetricsGet", request->sample2->device);
  if (code) return code;
  for (unsigned int i = 0; i < request->numMetrics; i++) {
    nvmlGpmMetric_t *metric = &request->metrics[i];
    char key[32], text[64];
    snprintf(key, sizeof key, "gpm.%u", metric->metricId);
    metric->nvmlReturn = NOT_SUPPORTED;
    if (!get(request->sample2->device, key, text, sizeof text)) continue;
    if (strncmp(text, "rc ", 3) == 0) metric->nvmlReturn = atoi(text + 3);
    else metric->nvmlReturn = SUCCESS, metric->value = strtod(text, NULL);
  }
  return SUCCESS;
}
