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
