import {
  createGpuTools,
  type RecordedEvidence,
  type StructuredContent,
  systemClock,
  type ThresholdOverrides,
  type ToolResult,
} from '@k8s-gpu-mcp/core';
import type { Recordings } from '@k8s-gpu-mcp/replay';

/** What the files tell beside readings and kernel log. */
export const recordedEvidence = ({
  applicationErrors,
  testResults,
  earlier,
}: Recordings): RecordedEvidence => ({
  applicationErrors,
  tests: testResults,
  earlierReadings: earlier.flat(),
});

export interface AnalysisRequest {
  readonly nodeName: string;
  readonly thresholds: ThresholdOverrides;
  /** Arguments of explain_failure. */
  readonly question: Readonly<Record<string, unknown>>;
}

/** Files are read before this begins; what it bounds is the judging of them. */
const deadlineMilliseconds = 600_000;

/** The tools over files, at the time the files are from. */
export function toolsOver(
  recordings: Recordings,
  { nodeName, thresholds }: Omit<AnalysisRequest, 'question'>,
) {
  const { gpuProvider, kernelLog, hostDevices, hostProcesses, observedAt } = recordings;
  const then = observedAt === null ? undefined : Date.parse(observedAt);
  return createGpuTools(
    {
      gpuProvider,
      kernelLog,
      ...(hostDevices ? { hostDevices } : {}),
      ...(hostProcesses ? { hostProcesses } : {}),
      recorded: recordedEvidence(recordings),
      // "30m ago" is meant from where the files end.
      clock: { now: () => then ?? systemClock.now(), after: systemClock.after },
    },
    { nodeName, deadlineMilliseconds, thresholds, lookback: null },
  );
}

/** One diagnosis of everything that the files hold, with what of them was read and what was not. */
export async function analyzeRecordings(
  recordings: Recordings,
  request: AnalysisRequest,
): Promise<ToolResult> {
  const tool = toolsOver(recordings, request).find(({ name }) => name === 'explain_failure');
  if (!tool) throw new Error('explain_failure is not among the tools');
  const result = await tool.call(request.question);
  if (result.isError) return result;
  const structuredContent = withFiles(result.structuredContent, recordings);
  return { ...result, structuredContent, text: JSON.stringify(structuredContent) };
}

const maximumUnread = 10;

function withFiles(answer: StructuredContent, { files }: Recordings): StructuredContent {
  const unread = files.flatMap((file) => file.unread);
  const coverage = answer['coverage'] as StructuredContent;
  return {
    ...answer,
    coverage: {
      ...coverage,
      files: files.map(({ name, formats, gpuCount, recordCount }) => ({
        file: name,
        formats,
        gpuCount,
        recordCount,
      })),
      ...(unread.length > 0 ? { unread: unread.slice(0, maximumUnread), unreadCount: unread.length } : {}),
    },
  };
}
