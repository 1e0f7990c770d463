/*
 * Events. They come from a text file that grows while somebody waits; the configuration names it:
 *
 *   events FILE                      one line per event: DEVICE TYPEBITS DATA [GPU_INSTANCE COMPUTE_INSTANCE]
 *   set DEVICE events.supported BITS what the device can report; without it NOT_SUPPORTED
 *
 * As in the real library a set hears of nothing that was before its first registration, of no device and no type it was not registered
 * for, and instance ids that do not apply are all ones. Only whole lines count. Waiting reads the configuration again, so that a fault
 * ("rc nvmlEventSetWait_v2 * 15") can be put in while somebody waits.
 */
#include "fake_core.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENT_SET_MAGIC 0x45565354u
#define NO_INSTANCE 0xffffffffu

struct fake_event_set {
  unsigned int magic;
  long offset; /* of the next line; -1 before the first registration */
  int count;
  struct {
    char device[16];
    u64 types;
  } registered[64];
};

API nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *out);

static void reload_config(void) {
  nvmlDevice_t none;
  nvmlDeviceGetHandleByIndex_v2(~0u, &none); /* reads the file and finds no such index */
}

static FILE *open_events(void) {
  char path[512];
  return find_line("events ", path, sizeof path) ? fopen(path, "r") : NULL;
}

static int is_event_set(nvmlEventSet_t set) { return set && set->magic == EVENT_SET_MAGIC; }

API nvmlDeviceGetSupportedEventTypes(nvmlDevice_t d, u64 *out) {
  return read_long("nvmlDeviceGetSupportedEventTypes", d, "events.supported", out);
}

API nvmlEventSetCreate(nvmlEventSet_t *out) {
  nvmlReturn_t code = enter("nvmlEventSetCreate", "sys");
  if (code) return code;
  nvmlEventSet_t set = calloc(1, sizeof *set);
  set->magic = EVENT_SET_MAGIC;
  set->offset = -1;
  *out = set;
  return SUCCESS;
}

API nvmlDeviceRegisterEvents(nvmlDevice_t d, u64 types, nvmlEventSet_t set) {
  u64 supported = 0;
  nvmlReturn_t code = read_long("nvmlDeviceRegisterEvents", d, "events.supported", &supported);
  if (code) return code;
  if (!is_event_set(set) || set->count == 64) return INVALID_ARGUMENT;
  if (types & ~supported) return NOT_SUPPORTED; /* and nothing is registered */
  if (set->offset < 0) {
    FILE *file = open_events();
    set->offset = 0;
    if (file) {
      fseek(file, 0, SEEK_END);
      set->offset = ftell(file);
      fclose(file);
    }
  }
  snprintf(set->registered[set->count].device, 16, "%s", d->name);
  set->registered[set->count++].types = types;
  return SUCCESS;
}

static int is_wanted(nvmlEventSet_t set, const char *device, u64 type) {
  for (int i = 0; i < set->count; i++)
    if ((set->registered[i].types & type) && strcmp(set->registered[i].device, device) == 0) return 1;
  return 0;
}

/* The next whole line that the set is registered for. */
static int next_event(nvmlEventSet_t set, nvmlEventData_t *out) {
  char line[256];
  int found = 0;
  FILE *file = open_events();
  if (!file) return 0;
  fseek(file, set->offset < 0 ? 0 : set->offset, SEEK_SET);
  while (!found && fgets(line, sizeof line, file) && strchr(line, '\n')) {
    char device[16], type[32], data[32];
    unsigned int gi = NO_INSTANCE, ci = NO_INSTANCE;
    set->offset = ftell(file);
    if (sscanf(line, "%15s %31s %31s %u %u", device, type, data, &gi, &ci) < 3) continue;
    if (!is_wanted(set, device, strtoull(type, NULL, 0))) continue;
    out->device = device_for(device);
    out->eventType = strtoull(type, NULL, 0);
    out->eventData = strtoull(data, NULL, 0);
    out->gpuInstanceId = gi;
    out->computeInstanceId = ci;
    found = 1;
  }
  fclose(file);
  return found;
}

API nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *out, unsigned int milliseconds) {
  struct timespec start, now, pause = {0, 2000000};
  reload_config();
  nvmlReturn_t code = enter("nvmlEventSetWait_v2", "sys");
  if (code) return code;
  if (!is_event_set(set)) return INVALID_ARGUMENT;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (;;) {
    if (next_event(set, out)) return SUCCESS;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long waited = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
    if (waited >= (long)milliseconds) return TIMEOUT;
    nanosleep(&pause, NULL);
  }
}

API nvmlEventSetFree(nvmlEventSet_t set) {
  nvmlReturn_t code = enter("nvmlEventSetFree", "sys");
  if (code) return code;
  if (!is_event_set(set)) return INVALID_ARGUMENT;
  set->magic = 0;
  free(set);
  return SUCCESS;
}
