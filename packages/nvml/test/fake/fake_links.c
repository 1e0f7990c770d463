/*
 * NVLink, the fabric of NVLink switches, and how GPUs lie to each other and to CPUs. Keys of a GPU:
 *
 *   nvlink.count N            links 0 to N-1 exist, INVALID_ARGUMENT beyond; no line: NOT_SUPPORTED for every link
 *   nvlink.L.state 0|1        of link L; "nvlink.all.state" is for every link without its own line; neither: NOT_SUPPORTED (a hole)
 *   nvlink.L.rc CODE          what the state of link L is answered with
 *   nvlink.L.version NUMBER, nvlink.L.remote.type NUMBER, nvlink.L.remote.bus TEXT, nvlink.L.errors.COUNTER NUMBER   (or "all" likewise)
 *   fabric.state, fabric.status, fabric.clique, fabric.mask, fabric.summary NUMBER;  fabric.uuid 32HEXDIGITS
 *   fabric.revision N         the newest struct revision of GetGpuFabricInfoV the driver takes (3)
 *   ancestor.OTHER LEVEL      NVML_TOPOLOGY_* to GPU OTHER
 *   p2p.OTHER.CAPABILITY STATUS  to GPU OTHER; "p2p.OTHER.all" for every capability without its own line
 *   cpus LIST, nodes LIST     ranges such as 0-31,64-95
 *   numa.node NUMBER
 */
#include "fake_core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Key "nvlink.LINK.WHAT", else "nvlink.all.WHAT", of a link that exists. */
static nvmlReturn_t link_text(const char *function, nvmlDevice_t d, unsigned int link, const char *what, char *out, size_t size) {
  const char *name;
  char key[64];
  u64 count;
  nvmlReturn_t code = enter_device(function, d, &name);
  if (!code) code = read_u64(name, "nvlink.count", &count);
  if (code) return code;
  if (link >= count) return INVALID_ARGUMENT;
  snprintf(key, sizeof key, "nvlink.%u.%s", link, what);
  if (get(name, key, out, size)) return SUCCESS;
  snprintf(key, sizeof key, "nvlink.all.%s", what);
  return get(name, key, out, size) ? SUCCESS : NOT_SUPPORTED;
}

static nvmlReturn_t link_u32(const char *function, nvmlDevice_t d, unsigned int link, const char *what, unsigned int *out) {
  char text[64];
  nvmlReturn_t code = link_text(function, d, link, what, text, sizeof text);
  if (!code) *out = (unsigned int)strtoul(text, NULL, 0);
  return code;
}

API nvmlDeviceGetNvLinkState(nvmlDevice_t d, unsigned int link, unsigned int *out) {
  char key[32], text[64];
  nvmlReturn_t code = link_text("nvmlDeviceGetNvLinkState", d, link, "state", text, sizeof text);
  if (code && code != NOT_SUPPORTED) return code;
  snprintf(key, sizeof key, "nvlink.%u.rc", link);
  char own[16];
  if (device_name(d) && get(device_name(d), key, own, sizeof own)) return atoi(own);
  if (!code) *out = (unsigned int)strtoul(text, NULL, 0);
  return code;
}
API nvmlDeviceGetNvLinkVersion(nvmlDevice_t d, unsigned int link, unsigned int *out) {
  return link_u32("nvmlDeviceGetNvLinkVersion", d, link, "version", out);
}
API nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t d, unsigned int link, unsigned int *out) {
  return link_u32("nvmlDeviceGetNvLinkRemoteDeviceType", d, link, "remote.type", out);
}
API nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t d, unsigned int link, nvmlPciInfo_t *out) {
  char bus[32];
  nvmlReturn_t code = link_text("nvmlDeviceGetNvLinkRemotePciInfo_v2", d, link, "remote.bus", bus, sizeof bus);
  if (code) return code;
  memset(out, 0, sizeof *out);
  snprintf(out->busId, sizeof out->busId, "%s", bus);
  snprintf(out->busIdLegacy, sizeof out->busIdLegacy, "%.15s", strlen(bus) > 4 ? bus + 4 : bus);
  return SUCCESS;
}
API nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t d, unsigned int link, unsigned int counter, u64 *out) {
  char what[32], text[64];
  snprintf(what, sizeof what, "errors.%u", counter);
  nvmlReturn_t code = link_text("nvmlDeviceGetNvLinkErrorCounter", d, link, what, text, sizeof text);
  if (!code) *out = strtoull(text, NULL, 0);
  return code;
}

struct fabric {
  unsigned char uuid[16];
  u64 state, status, clique, mask, summary;
};

static nvmlReturn_t read_fabric(const char *function, nvmlDevice_t d, struct fabric *out) {
  const char *name;
  char uuid[40] = "";
  memset(out, 0, sizeof *out);
  nvmlReturn_t code = enter_device(function, d, &name);
  if (!code) code = read_u64(name, "fabric.state", &out->state);
  if (code) return code;
  read_u64(name, "fabric.status", &out->status);
  read_u64(name, "fabric.clique", &out->clique);
  read_u64(name, "fabric.mask", &out->mask);
  read_u64(name, "fabric.summary", &out->summary);
  get(name, "fabric.uuid", uuid, sizeof uuid);
  for (int i = 0; i < 16 && uuid[2 * i] && uuid[2 * i + 1]; i++) {
    char byte[3] = {uuid[2 * i], uuid[2 * i + 1], 0};
    out->uuid[i] = (unsigned char)strtoul(byte, NULL, 16);
  }
  return SUCCESS;
}

API nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t d, nvmlGpuFabricInfo_v3_t *out) {
  struct fabric f;
  u64 newest = 3;
  nvmlReturn_t code = read_fabric("nvmlDeviceGetGpuFabricInfoV", d, &f);
  if (code) return code;
  read_u64(device_name(d), "fabric.revision", &newest);
  unsigned int asked = out->version;
  int is_v3 = newest >= 3 && asked == STRUCT_VERSION(nvmlGpuFabricInfo_v3_t, 3u);
  if (!is_v3 && !(newest >= 2 && asked == STRUCT_VERSION(nvmlGpuFabricInfo_v2_t, 2u))) return VERSION_MISMATCH;
  memcpy(out->clusterUuid, f.uuid, 16);
  out->status = (nvmlReturn_t)f.status;
  out->cliqueId = (unsigned int)f.clique;
  out->state = (unsigned char)f.state;
  out->healthMask = (unsigned int)f.mask;
  if (is_v3) out->healthSummary = (unsigned char)f.summary;
  return SUCCESS;
}
API nvmlDeviceGetGpuFabricInfo(nvmlDevice_t d, nvmlGpuFabricInfo_t *out) {
  struct fabric f;
  nvmlReturn_t code = read_fabric("nvmlDeviceGetGpuFabricInfo", d, &f);
  if (code) return code;
  memcpy(out->clusterUuid, f.uuid, 16);
  out->status = (nvmlReturn_t)f.status;
  out->cliqueId = (unsigned int)f.clique;
  out->state = (unsigned char)f.state;
  return SUCCESS;
}

API nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t d, nvmlDevice_t other, unsigned int *out) {
  char key[32];
  if (!device_name(other)) return INVALID_ARGUMENT;
  snprintf(key, sizeof key, "ancestor.%s", device_name(other));
  return read_u32("nvmlDeviceGetTopologyCommonAncestor", d, key, out);
}
API nvmlDeviceGetP2PStatus(nvmlDevice_t d, nvmlDevice_t other, unsigned int capability, unsigned int *out) {
  const char *name;
  char key[40];
  u64 value;
  nvmlReturn_t code = enter_device("nvmlDeviceGetP2PStatus", d, &name);
  if (code) return code;
  if (!device_name(other)) return INVALID_ARGUMENT;
  snprintf(key, sizeof key, "p2p.%s.%u", device_name(other), capability);
  if (read_u64(name, key, &value)) {
    snprintf(key, sizeof key, "p2p.%s.all", device_name(other));
    if ((code = read_u64(name, key, &value))) return code;
  }
  *out = (unsigned int)value;
  return SUCCESS;
}

/* Ranges to bits, in as many words as there is room for. */
static nvmlReturn_t read_mask(const char *function, nvmlDevice_t d, const char *key, unsigned int words, unsigned long *out) {
  const char *name;
  char list[256];
  nvmlReturn_t code = enter_device(function, d, &name);
  if (code) return code;
  if (!get(name, key, list, sizeof list)) return NOT_SUPPORTED;
  memset(out, 0, words * sizeof *out);
  for (char *rest = list, *text; (text = strsep(&rest, ","));) {
    unsigned int first = 0, last;
    int parts = sscanf(text, "%u-%u", &first, &last);
    if (parts < 1) continue;
    if (parts < 2) last = first;
    for (unsigned int bit = first; bit <= last && bit / 64 < words; bit++) out[bit / 64] |= 1ul << (bit % 64);
  }
  return SUCCESS;
}
API nvmlDeviceGetCpuAffinity(nvmlDevice_t d, unsigned int words, unsigned long *out) {
  return read_mask("nvmlDeviceGetCpuAffinity", d, "cpus", words, out);
}
API nvmlDeviceGetMemoryAffinity(nvmlDevice_t d, unsigned int words, unsigned long *out, unsigned int scope) {
  return scope > 1 ? INVALID_ARGUMENT : read_mask("nvmlDeviceGetMemoryAffinity", d, "nodes", words, out);
}
U32(nvmlDeviceGetNumaNodeId, "numa.node")
