import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { GpuReader } from '../gpu-reader.ts';
import { silentLogger, systemClock } from '../ports/runtime.ts';
import { FlightRecorder } from '../recorder/flight-recorder.ts';
import { recorderOptions } from '../recorder/options.ts';
import {
  inMemoryAuditLog,
  inMemoryGpuControl,
  inMemoryHostProcesses,
  inMemoryKernelLog,
  inMemoryProcessControl,
  stubProvider,
} from '../testing.ts';
import { createGpuTools } from './create-gpu-tools.ts';
import { describeGpuTools, describeOperatorTools } from './describe-gpu-tools.ts';
import { createOperatorTools } from './operator/create-operator-tools.ts';

const namesOf = (tools: readonly { readonly name: string }[]) => tools.map(({ name }) => name);

describe('describeGpuTools', () => {
  const listed = () => {
    const gpuProvider = stubProvider();
    const recorder = new FlightRecorder(
      new GpuReader(gpuProvider, systemClock, silentLogger),
      systemClock,
      silentLogger,
      recorderOptions(),
    );
    return createGpuTools({ gpuProvider, kernelLog: inMemoryKernelLog([]), recorder }, { nodeName: 'node' });
  };

  test('is what an agent with a recorder lists, in its order, without what would answer', () => {
    const tools = listed();
    const described = describeGpuTools();
    expect(namesOf(described)).toEqual(namesOf(tools));
    expect(new Set(namesOf(described)).size).toBe(described.length);
    for (const [index, description] of described.entries()) {
      const { call: _, ...tool } = tools[index] ?? {};
      expect(description).not.toHaveProperty('call');
      expect(Object.keys(description).sort()).toEqual(Object.keys(tool).sort());
      expect(description).toMatchObject({
        title: tools[index]?.title,
        description: tools[index]?.description,
        annotations: tools[index]?.annotations,
      });
      for (const schema of ['inputSchema', 'outputSchema'] as const) {
        expect(z.toJSONSchema(description[schema], { io: 'input' })).toEqual(
          z.toJSONSchema(tools[index]?.[schema] ?? z.null(), { io: 'input' }),
        );
      }
    }
  });

  test('planted fault: an agent without a recorder lists less, and the comparison sees it', () => {
    const without = createGpuTools(
      { gpuProvider: stubProvider(), kernelLog: inMemoryKernelLog([]) },
      { nodeName: 'node' },
    );
    expect(namesOf(describeGpuTools())).not.toEqual(namesOf(without));
    expect(namesOf(describeGpuTools())).toEqual(expect.arrayContaining(namesOf(without)));
  });
});

describe('describeOperatorTools', () => {
  const ports = {
    gpuProvider: stubProvider(),
    kernelLog: inMemoryKernelLog([]),
    hostProcesses: inMemoryHostProcesses([]),
    gpuControl: inMemoryGpuControl(),
    processControl: inMemoryProcessControl([]),
    auditLog: inMemoryAuditLog(),
  };

  test('is what an agent in operator mode lists, without what would act', () => {
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

  test.each([
    ['kill', ['kill_gpu_process']],
    ['reset', ['reset_gpu']],
    ['all', ['kill_gpu_process', 'reset_gpu']],
  ] as const)('with actions %s there is no tool for the rest', (actions, expected) => {
    expect(namesOf(createOperatorTools(ports, { nodeName: 'node', actions }))).toEqual(expected);
  });

  test('no tool that acts is among those that read', () => {
    const acting = namesOf(describeOperatorTools());
    expect(acting.filter((name) => namesOf(describeGpuTools()).includes(name))).toEqual([]);
    for (const { annotations } of describeGpuTools()) expect(annotations.readOnlyHint).toBe(true);
  });
});
