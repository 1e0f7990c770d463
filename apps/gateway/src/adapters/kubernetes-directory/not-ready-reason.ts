import { conditionStatus, field, fieldAt, list, text } from './fields.ts';

/** Reasons that kubelet gives for a waiting container (k8s.io/kubernetes pkg/kubelet/images and pkg/kubelet/container), in our words. */
const wordsByWaitingReason: ReadonlyMap<string, string> = new Map([
  ['ErrImagePull', 'the image of the agent pod cannot be pulled'],
  ['ImagePullBackOff', 'the image of the agent pod cannot be pulled'],
  ['RegistryUnavailable', 'the image of the agent pod cannot be pulled'],
  ['ErrImageNeverPull', 'the image of the agent pod is not on the node, and may not be pulled'],
  ['InvalidImageName', 'the image name of the agent pod is not valid'],
  ['ImageInspectError', 'the image of the agent pod cannot be read'],
  ['SignatureValidationFailed', 'the signature of the image of the agent pod is not valid'],
  ['CreateContainerConfigError', 'the agent pod refers to a ConfigMap or Secret that is not there'],
  ['CreateContainerError', 'the container of the agent pod cannot be created'],
  ['RunContainerError', 'the container of the agent pod cannot be started'],
  ['PreStartHookError', 'the container of the agent pod cannot be started'],
  ['PostStartHookError', 'the container of the agent pod cannot be started'],
]);

function crashLoopWords(status: unknown): string {
  const ended = fieldAt(status, 'lastState', 'terminated');
  if (field(ended, 'reason') === 'OOMKilled') {
    return 'the agent pod crashes again and again: it ran out of its memory limit';
  }
  const exitCode = field(ended, 'exitCode');
  return Number.isInteger(exitCode)
    ? `the agent pod crashes again and again, last with exit code ${exitCode}`
    : 'the agent pod crashes again and again';
}

/** Why a pod that is meant to live cannot be asked. A sentence of ours: nothing of the pod's own text is in it. */
export function notReadyReason(pod: unknown): string {
  const statuses = ['initContainerStatuses', 'containerStatuses'].flatMap((key) =>
    list(fieldAt(pod, 'status', key)),
  );
  for (const status of statuses) {
    const reason = text(fieldAt(status, 'state', 'waiting', 'reason'));
    if (reason === 'CrashLoopBackOff') return crashLoopWords(status);
    const words = reason === undefined ? undefined : wordsByWaitingReason.get(reason);
    if (words !== undefined) return words;
  }
  const phase = text(fieldAt(pod, 'status', 'phase'));
  if (phase === 'Unknown') return 'the node does not report on the agent pod';
  if (phase !== 'Running') {
    return statuses.length > 0 || conditionStatus(pod, 'Initialized') !== undefined
      ? 'the agent pod is starting'
      : 'the agent pod is pending';
  }
  if (conditionStatus(pod, 'Ready') !== 'True') return 'the agent pod is not ready';
  return 'the agent pod has no address yet';
}
