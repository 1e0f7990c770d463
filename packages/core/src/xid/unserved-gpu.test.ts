import { describe, expect, test } from 'vitest';
import { driverLoadAt, incidentsOf, kernelLine, xidAt } from '../../test/kernel-log-lines.ts';

const primary = (lines: readonly string[]) =>
  incidentsOf(lines).filter(({ standing }) => standing === 'primary');

const notBroughtUp = (seconds: number, device = '3b') =>
  kernelLine(seconds, `NVRM: GPU 0000:${device}:00.0: RmInitAdapter failed! (0x62:0x40:2477)`);
const probeFailed = kernelLine(3, 'NVRM: The NVIDIA probe routine failed for 1 device(s).');

// Message texts: open-gpu-kernel-modules, nv.c, nv-pci.c and kernel_gsp.c.
describe('a GPU that the driver cannot serve', () => {
  test('by itself: the condition of Xid 143, and only a restart brings it back (leptonai/gpud)', () => {
    expect(primary([notBroughtUp(1), probeFailed])[0]).toMatchObject({
      kind: 'init-failure',
      severity: 'critical',
      action: 'reboot-node',
      pciAddress: '0000:3b:00',
    });
  });

  test.each([
    ['not supported by the driver', 'NVRM: installed in this system is not supported by the'],
    [
      'only served by the open modules',
      'NVRM: installed in this system requires use of the NVIDIA open kernel modules.',
    ],
    ['without firmware', 'NVRM: RmFetchGspRmImages: No firmware image found'],
  ])('%s: other software, not a restart', (_, text) => {
    const found = primary([kernelLine(1, text), notBroughtUp(2), probeFailed, driverLoadAt(4)]);
    expect(found).toMatchObject([
      { kind: 'version-mismatch', severity: 'critical', action: 'update-software', verdict: 'critical' },
    ]);
  });

  test('a mismatch of one program with the module is a warning and excuses no GPU', () => {
    const mismatch = kernelLine(1, 'NVRM: API mismatch: the client has the version 550.90.07, but');
    const found = primary([mismatch, notBroughtUp(2)]);
    expect(found.map(({ kind, action }) => [kind, action])).toEqual([
      ['version-mismatch', 'update-software'],
      ['init-failure', 'reboot-node'],
    ]);
  });

  test('whose firmware still runs: the driver says that it may need a reset', () => {
    const text = 'NVRM: GPU2 _kgspBootGspRm: unexpected WPR2 already up, cannot proceed with booting GSP';
    expect(primary([kernelLine(1, text), notBroughtUp(2)])).toMatchObject([
      { kind: 'gsp-fault', severity: 'fatal', action: 'reset-gpu' },
    ]);
  });

  test.each([
    'NVRM: The NVIDIA probe routine was not called for 8 device(s).',
    'NVRM: No NVIDIA devices probed.',
    'NVRM: No NVIDIA GPU found.',
  ])('taken by another driver, or not there: a warning and nothing disruptive: %s', (text) => {
    expect(primary([kernelLine(1, text)])).toMatchObject([
      { kind: 'init-failure', severity: 'warning', verdict: 'warning', action: 'monitor' },
    ]);
  });
});

// Linux drivers/pci/pcie/aer.c: pci_err(dev, ...) names the driver of the device, then its address.
describe('PCI Express errors of other devices', () => {
  const received = (seconds: number, device: string) =>
    kernelLine(
      seconds,
      `pcieport 0000:00:03.1: AER: Corrected error message received from 0000:${device}:00.0`,
    );
  const told = (seconds: number, driver: string, device: string) =>
    kernelLine(
      seconds,
      `${driver} 0000:${device}:00.0: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction Layer, (Requester ID)`,
    );

  test.each(['mlx5_core', 'nvme', 'igc', 'amdgpu'])('%s: not about a GPU of ours', (driver) => {
    expect(incidentsOf([received(1, '04'), told(2, driver, '04')])).toEqual([]);
  });

  test.each(['nvidia', 'pcieport', 'vfio-pci'])('%s: may be', (driver) => {
    expect(incidentsOf([received(1, '3b'), told(2, driver, '3b')])).toMatchObject([
      { kind: 'pcie-error', pciAddress: '0000:3b:00', verdict: 'warning' },
    ]);
  });

  test('a GPU with an Xid stays a GPU, whatever a line calls its driver', () => {
    const found = incidentsOf([told(1, 'mlx5_core', '3b'), xidAt(2, 79, 'GPU has fallen off the bus.')]);
    expect(found.map(({ kind }) => kind).sort()).toEqual(['pcie-error', 'xid']);
  });
});
