import type { Action } from '../domain/verdict.ts';

/**
 * The vendor's answers to an Xid, by the names its catalogue uses. A row's `immediate` bucket is what to do now, `investigatory` what to
 * look for afterwards.
 * Source: NVIDIA Xid catalogue (docs.nvidia.com/deploy/xid-errors), resolution buckets.
 */
export const vendorBuckets = [
  'RESTART_APP',
  'RESET_GPU',
  'RESTART_BM',
  'RESTART_VM',
  'RESTART_FM',
  'CONTACT_SUPPORT',
  'CHECK_MECHANICALS',
  'CHECK_APP/CUDA',
  'CHECK_UVM',
  'UPDATE_SWFW',
  'IGNORE',
  'IGNORE (sympathetic)',
  'INVESTIGATE_SW',
  'INVESTIGATE_PEER_DEVICE',
  'INVESTIGATE_HOST',
  'INVESTIGATE_LINK_SI',
  'INVESTIGATE_LINK_SI_AND_CABLES',
  'INVESTIGATE_SW_USER',
  'INVESTIGATE_SW_USER_LINK_SI',
  'SYMPATHETIC_REPORT_SOLO',
  'REPORT_ISSUE',
  'XID_154',
  'XID_154_EVAL',
  'CHECK_NVLINK_FAILURE_FLOW',
  'WORKFLOW_XID_13',
  'WORKFLOW_XID_31',
  'WORKFLOW_XID_45',
  'WORKFLOW_XID_48',
  'WORKFLOW_NVLINK_ERR',
  'WORKFLOW_NVLINK5_ERR',
  'XID_137_FLOW',
] as const;
export type VendorBucket = (typeof vendorBuckets)[number];

/** The one table from the vendor's buckets to our actions. */
export const bucketActions = {
  RESTART_APP: 'restart-app',
  // Drain first when others use the GPU.
  RESET_GPU: 'reset-gpu',
  RESTART_BM: 'reboot-node',
  RESTART_VM: 'reboot-node',
  RESTART_FM: 'restart-service',
  CONTACT_SUPPORT: 'contact-support',
  CHECK_MECHANICALS: 'check-mechanicals',
  'CHECK_APP/CUDA': 'check-app',
  // A reset only when unified memory or vGPU is in use, which the log does not tell.
  CHECK_UVM: 'monitor',
  UPDATE_SWFW: 'update-software',
  IGNORE: 'none',
  'IGNORE (sympathetic)': 'none',
  INVESTIGATE_SW: 'check-app',
  INVESTIGATE_PEER_DEVICE: 'monitor',
  INVESTIGATE_HOST: 'monitor',
  INVESTIGATE_LINK_SI: 'check-mechanicals',
  INVESTIGATE_LINK_SI_AND_CABLES: 'check-mechanicals',
  INVESTIGATE_SW_USER: 'check-app',
  INVESTIGATE_SW_USER_LINK_SI: 'check-mechanicals',
  SYMPATHETIC_REPORT_SOLO: 'monitor',
  REPORT_ISSUE: 'monitor',
  // The line itself names the action; this stands for one that cannot be read.
  XID_154: 'monitor',
  // Without a following Xid 154.
  XID_154_EVAL: 'restart-app',
  CHECK_NVLINK_FAILURE_FLOW: 'monitor',
  WORKFLOW_XID_13: 'check-app',
  WORKFLOW_XID_31: 'check-app',
  // Fabric Manager only when it stands alone on an NVSwitch system, which one line does not tell.
  WORKFLOW_XID_45: 'monitor',
  WORKFLOW_XID_48: 'reset-gpu',
  // For lines without registers; with them the bits decide.
  WORKFLOW_NVLINK_ERR: 'reset-gpu',
  // For lines that no rule matches: never one action for the number as such.
  WORKFLOW_NVLINK5_ERR: 'monitor',
  XID_137_FLOW: 'check-app',
} as const satisfies Record<VendorBucket, Action>;
