import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  inMemoryAuditLog,
  inMemoryGpuControl,
  inMemoryHostProcesses,
  inMemoryKernelLog,
  inMemoryProcessControl,
  stubProvider,
} from '../testing.ts';
import { describeGpuTools, describeOperatorTools } from './describe-gpu-tools.ts';
import { createOperatorTools } from './operator/create-operator-tools.ts';

const namesOf = (tools: readonly { readonly name: string }[]) => tools.map(({ name }) => name);

describe('describeOperatorTools', () => {
  test('is what an agent in operator mode lists, without what would act', () => {
    const ports = {
      gpuProvider: stubProvider(),
      kernelLog: inMemoryKernelLog([]),
      hostProcesses: inMemoryHostProcesses([]),
      gpuControl: inMemoryGpuControl(),
      processControl: inMemoryProcessControl([]),
      auditLog: inMemoryAuditLog(),
    };
    const tools = createOperatorTools(ports, { nodeName: 'node' });
    const described = describeOperatorTools();
    expect(namesOf(described)).toEqual(['kill_gpu_process', 'reset_gpu']);
    expect(namesOf(described)).toEqual(namesOf(tools));
    for (const [index, description] of described.entries()) {
      const tool = tools[index];
      expect(description).not.toHaveProperty('call');
      expect(description.annotations).toEqual(tool?.annotations);
      expect(description.annotations).toMatchObject({ readOnlyHint: false, destructiveHint: true });
      expect(z.toJSONSchema(description.inputSchema, { io: 'input' })).toEqual(
        z.toJSONSchema(tool?.inputSchema ?? z.null(), { io: 'input' }),
      );
    }
  });

  test('no tool that acts is among those that read', () => {
    const acting = namesOf(describeOperatorTools());
    expect(acting.filter((name) => namesOf(describeGpuTools()).includes(name))).toEqual([]);
    for (const { annotations } of describeGpuTools()) expect(annotations.readOnlyHint).toBe(true);
  });
});
