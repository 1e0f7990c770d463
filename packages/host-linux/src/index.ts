export {
  type AutoKernelLogOptions,
  createAutoKernelLog,
  type KernelLogSelection,
  parseKernelLogSelection,
} from './kernel-log/auto-kernel-log.ts';
export { readBootedAt } from './kernel-log/boot-time.ts';
export { createFileLog, type FileLogOptions } from './kernel-log/file-log.ts';
export { createJournalLog, type JournalLogOptions } from './kernel-log/journal-log.ts';
export type { OutputProcess, StartProcess } from './kernel-log/journal-process.ts';
export { createKernelLogFollower, type KernelLogFollowerOptions } from './kernel-log/kernel-log-follower.ts';
export type { KmsgDevice } from './kernel-log/kmsg-cursor.ts';
export { createKmsgLog, type KmsgLogOptions } from './kernel-log/kmsg-log.ts';
export type { KernelLogParsers } from './kernel-log/parsers.ts';
export { createSyslogLog, type SyslogCall, type SyslogLogOptions } from './kernel-log/syslog-log.ts';
export type { ReadFile } from './os/small-file.ts';
export { createHostDevices, type HostDevicesOptions } from './pci/host-devices.ts';
export type { PidfdCalls } from './process-control/pidfd.ts';
export { createProcessControl, type ProcessControlOptions } from './process-control/process-control.ts';
export { createHostProcesses, type HostProcessesOptions } from './processes/host-processes.ts';
export {
  createRecorderReader,
  createRecorderStore,
  type RecorderStoreOptions,
} from './recorder-store/recorder-store.ts';
export type { ByteSource } from './scan/byte-source.ts';
export { countNewlines } from './scan/newlines.ts';
export { type ReadTextOptions, readText } from './scan/read-text.ts';
export { type ScanKernelLogOptions, scanKernelLog } from './scan/scan-kernel-log.ts';
