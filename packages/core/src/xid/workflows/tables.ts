import type { Workflow } from './machine.ts';

const catalogue = 'NVIDIA Xid catalogue, docs.nvidia.com/deploy/xid-errors';

/** After two restarts without cure an inspection is due. Source of the number: leptonai/gpud, reboot escalation. */
const inspectAfterTwo = {
  ask: 'came-back-twice',
  yes: {
    outcome: 'It came back after two restarts: have the hardware looked at.',
    action: 'contact-support',
  },
} as const;

/** The vendor's workflows by number. A plain line with nothing else known ends at the catalogue's own action. */
export const workflows: readonly Workflow[] = [
  {
    id: 'WORKFLOW_XID_13',
    xids: [13],
    source: `${catalogue}; burst merge of 15 s and two in 24 h: NVSentinel`,
    start: 'elsewhere',
    states: {
      elsewhere: {
        ask: 'other-gpus',
        yes: {
          outcome:
            'Several GPUs have it, so it comes with the program: restart it, and debug it with compute-sanitizer.',
          action: 'own',
        },
        no: 'unit',
      },
      unit: {
        ask: 'same-unit-repeats',
        yes: {
          outcome:
            'The same unit of the same GPU again and again: run the DCGM diagnostic for it, then the field diagnostic.',
          action: 'run-field-diagnostic',
        },
        no: {
          outcome:
            'An exception of the program: restart it, and debug it with compute-sanitizer or cuda-gdb.',
          action: 'own',
        },
      },
    },
  },
  {
    id: 'WORKFLOW_XID_31',
    xids: [31],
    source: `${catalogue}; two in 24 h: NVSentinel`,
    start: 'elsewhere',
    states: {
      elsewhere: {
        ask: 'other-gpus',
        yes: {
          outcome: 'The fault moves with the program: restart it, and debug it with compute-sanitizer.',
          action: 'own',
        },
        no: 'runs',
      },
      runs: {
        ask: 'several-runs',
        yes: {
          outcome:
            'It repeats on one GPU over several runs: run the DCGM diagnostic for it, then the field diagnostic.',
          action: 'run-field-diagnostic',
        },
        no: {
          outcome:
            'An illegal access of the program: restart it, and debug it with compute-sanitizer or cuda-gdb.',
          action: 'own',
        },
      },
    },
  },
  {
    id: 'WORKFLOW_XID_45',
    xids: [45],
    source: catalogue,
    start: 'flood',
    states: {
      flood: {
        ask: 'flood',
        yes: {
          outcome:
            'One line for each channel of what was ended: the number of lines says nothing, there is nothing to do.',
          action: 'none',
        },
        no: 'switch',
      },
      switch: {
        ask: 'on-switch',
        yes: 'fabric',
        no: { outcome: 'A process was ended; nothing else is in the log. Watch for it.', action: 'own' },
        unknown: {
          outcome:
            'It stands alone. On a system with NVSwitch the vendor asks for a restart of Fabric Manager; whether this is one is not known.',
          action: 'own',
        },
      },
      fabric: {
        ask: 'fabric-well',
        yes: {
          outcome:
            'It stands alone and the fabric is well: a process was ended. A restart of Fabric Manager would only stop others.',
          action: 'own',
        },
        no: {
          outcome: 'It stands alone on a system with NVSwitch: restart Fabric Manager.',
          action: 'restart-service',
        },
      },
    },
  },
  {
    id: 'WORKFLOW_XID_48',
    xids: [48],
    source: catalogue,
    start: 'sram',
    states: {
      sram: {
        ask: 'sram-threshold',
        yes: {
          outcome: 'SRAM errors passed the threshold: run the field diagnostic.',
          action: 'run-field-diagnostic',
        },
        no: 'failed',
      },
      failed: {
        ask: 'remap-failed',
        yes: {
          outcome: 'A memory row could not be replaced: the board is for the vendor.',
          action: 'contact-support',
        },
        no: 'noted',
      },
      noted: {
        ask: 'remap-noted',
        yes: {
          outcome:
            'The faulty row is noted: let the work end (drain), then reset the GPU, which brings the repair into effect.',
          action: 'own',
        },
        no: {
          outcome:
            'An uncorrectable memory error: reset the GPU, then look at the row remap and SRAM threshold flags.',
          action: 'own',
        },
      },
    },
  },
  {
    id: 'XID_171_172',
    xids: [171, 172],
    source: `${catalogue}; no bucket is published`,
    start: 'sram',
    states: {
      sram: {
        ask: 'sram-threshold',
        yes: {
          outcome: 'SRAM errors passed the threshold: run the field diagnostic.',
          action: 'run-field-diagnostic',
        },
        no: 'failed',
      },
      failed: {
        ask: 'remap-failed',
        yes: {
          outcome: 'A memory row could not be replaced: the board is for the vendor.',
          action: 'contact-support',
        },
        no: {
          outcome: 'It tells where an uncorrectable memory error was; Xid 48, 63, 64 or 154 say what to do.',
          action: 'own',
        },
      },
    },
  },
  {
    id: 'XID_63_64',
    xids: [63, 64],
    source: `${catalogue}; NVIDIA GPU memory error management`,
    start: 'failed',
    states: {
      failed: {
        ask: 'remap-failed',
        yes: {
          outcome: 'A memory row could not be replaced: the board is for the vendor.',
          action: 'contact-support',
        },
        no: 'pending',
      },
      pending: {
        ask: 'remap-pending',
        yes: {
          outcome:
            'A repair waits: the next reset of the GPU brings it into effect. Work may go on until then.',
          action: 'own',
        },
        no: { outcome: 'What was noted takes effect with the next reset of the GPU.', action: 'own' },
      },
    },
  },
  {
    id: 'XID_94_95',
    xids: [94, 95],
    source: `${catalogue}; two reboots without cure: leptonai/gpud`,
    start: 'sram',
    states: {
      sram: {
        ask: 'sram-threshold',
        yes: {
          outcome: 'SRAM errors passed the threshold: run the field diagnostic.',
          action: 'run-field-diagnostic',
        },
        no: 'failed',
      },
      failed: {
        ask: 'remap-failed',
        yes: {
          outcome: 'A memory row could not be replaced: the board is for the vendor.',
          action: 'contact-support',
        },
        no: 'back',
      },
      back: {
        ...inspectAfterTwo,
        no: {
          outcome:
            'Contained (94): restart the program, reset the GPU when convenient. Not contained (95): reset the GPU first.',
          action: 'own',
        },
      },
    },
  },
  {
    id: 'WORKFLOW_NVLINK_ERR',
    xids: [74],
    source: catalogue,
    start: 'registers',
    states: {
      registers: {
        ask: 'registers-printed',
        yes: 'repeatable',
        no: { outcome: 'Without registers the vendor asks for a reset.', action: 'own' },
      },
      repeatable: {
        ask: 'counts-when-repeated',
        yes: 'repeated',
        no: { outcome: 'The register bits decide.', action: 'own' },
      },
      repeated: {
        ask: 'link-repeats',
        yes: 'which',
        no: { outcome: 'It counts only when it repeats on one link: watch that link.', action: 'own' },
      },
      which: {
        ask: 'field-diagnostic-bits',
        yes: { outcome: 'It repeats on one link: run the field diagnostic.', action: 'run-field-diagnostic' },
        no: { outcome: 'It repeats on one link: report it to the vendor.', action: 'contact-support' },
      },
    },
  },
  {
    id: 'XID_79',
    xids: [79],
    source: catalogue,
    start: 'aer',
    states: {
      aer: { ask: 'bus-errors', yes: 'power', no: 'power' },
      power: { ask: 'hardware-slowdown', yes: 'back', no: 'back' },
      back: {
        ask: 'came-back',
        yes: {
          outcome:
            'It fell off its bus again after a restart: the board, its slot or its power is for the vendor.',
          action: 'contact-support',
        },
        no: {
          outcome:
            'Restart the machine; with the power off, when a warm restart does not bring the GPU back.',
          action: 'own',
        },
      },
    },
  },
  {
    id: 'XID_109',
    xids: [109],
    source: `${catalogue}; two reboots without cure: leptonai/gpud`,
    start: 'back',
    states: {
      back: {
        ...inspectAfterTwo,
        no: { outcome: 'The GPU did not change its context in time: reset it.', action: 'own' },
      },
    },
  },
  {
    id: 'XID_119_120',
    xids: [119, 120],
    source: `${catalogue}; two reboots without cure: leptonai/gpud`,
    start: 'back',
    states: {
      back: {
        ...inspectAfterTwo,
        no: {
          outcome:
            'Reset the GPU. When it comes again, look for a driver release that mends it: the firmware comes with the driver.',
          action: 'own',
        },
      },
    },
  },
  {
    id: 'XID_137_FLOW',
    xids: [137],
    source: catalogue,
    start: 'links',
    states: {
      links: {
        ask: 'link-went-down',
        yes: { outcome: 'A link had just gone wrong: follow that error.', action: 'own' },
        no: 'process',
      },
      process: {
        ask: 'process-named',
        yes: {
          outcome:
            'A fault of peer-to-peer access. For the moment the vendor asks for nothing; to find the cause, debug the program with cuda-gdb or compute-sanitizer (bucket XID_137_FLOW).',
          action: 'check-app',
        },
        no: {
          outcome:
            'A fault of peer-to-peer access; mostly the program. For the moment the vendor asks for nothing.',
          action: 'own',
        },
      },
    },
  },
  {
    id: 'WORKFLOW_NVLINK5_ERR',
    xids: [144, 145, 146, 147, 148, 149, 150],
    source: catalogue,
    start: 'rule',
    states: {
      rule: {
        ask: 'rule-found',
        yes: 'peer',
        no: { outcome: 'Watch for it, or take the words of the line to the vendor.', action: 'own' },
      },
      peer: { ask: 'peer-side', yes: 'shared', no: 'report' },
      shared: {
        ask: 'peers-too',
        yes: {
          outcome:
            'Several GPUs lost links at once for a reason at the other end: look at the switch they share, its cooling first. A reset of the GPUs does not mend it.',
          action: 'check-mechanicals',
        },
        no: {
          outcome:
            'Reset the GPU; then look at the device at the other end of the link, a switch at its cooling first.',
          action: 'own',
        },
      },
      report: {
        ask: 'report-issue',
        yes: 'daily',
        no: { outcome: 'The row of the decode table decides.', action: 'own' },
      },
      daily: {
        ask: 'several-a-day',
        yes: {
          outcome: 'It came more than once within a day: report it to the vendor.',
          action: 'contact-support',
        },
        no: { outcome: 'Reset the GPU, and report it when it comes again within a day.', action: 'own' },
      },
    },
  },
  {
    id: 'XID_154',
    xids: [154],
    source: `${catalogue}; open-gpu-kernel-modules, ctrl2080gpu.h`,
    start: 'readable',
    states: {
      readable: {
        ask: 'action-readable',
        yes: { outcome: 'The driver itself names the action.', action: 'own' },
        no: { outcome: 'The driver has changed its advice; ask it for the recovery action.', action: 'own' },
      },
    },
  },
];

const byXid: ReadonlyMap<number, Workflow> = new Map(
  workflows.flatMap((workflow) => workflow.xids.map((xid) => [xid, workflow] as const)),
);

export function findWorkflow(xid: number): Workflow | undefined {
  return byXid.get(xid);
}
