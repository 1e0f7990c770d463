// Which findings confirm which: independent signals of the same kind of fault, by the beginnings of their rule ids.

/** Of a memory fault, beside ECC counters and the row remapper. */
export const memoryFault = [
  'recovery.',
  'log.memory-fault',
  'log.xid-48',
  'log.xid-63',
  'log.xid-64',
  'log.xid-94',
  'log.xid-95',
] as const;

/** Counters of memory errors that are happening: what the row remapper and page retirement are confirmed by. */
export const memoryErrors = [
  'ecc.uncorrectable',
  'ecc.dram',
  'ecc.correctable-storm',
  ...memoryFault,
] as const;

/** Of an NVLink or fabric fault, beside the links themselves. Xid 74, and 144 to 150 for NVLink 5. */
export const linkFault: readonly string[] = [
  'recovery.',
  'log.sxid',
  'log.nvlink-fault',
  'log.xid-74',
  ...[144, 145, 146, 147, 148, 149, 150].map((code) => `log.xid-${code}`),
];

/** Of a fault of the link to the host, beside the link itself. */
export const pcieFault = ['log.pcie-error', 'log.xid-79', 'log.bus-loss', 'gpu.config-space-dead'] as const;
