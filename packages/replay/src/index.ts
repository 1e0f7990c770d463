export { openRecordings } from './open-recordings.ts';
export type { CapturedGpu, SmiCapture, UnreadPart } from './recording.ts';
export {
  type DiagnosticTestResult,
  type DriverFailure,
  type OpenRecordingsOptions,
  type ReadLimits,
  type RecordedFile,
  type RecordedFormat,
  type RecordingInput,
  type Recordings,
  type ReplayReaders,
  recordedFormats,
  type TextSource,
} from './recordings.ts';
