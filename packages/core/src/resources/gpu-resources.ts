import { GpuError } from '../errors.ts';
import type { GpuTool } from '../tools/tool.ts';
import { findXid, xidCatalogue } from '../xid/catalogue.ts';

/** A resource as data, free of any SDK. */
export interface GpuResource {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: 'application/json';
  /** A URI, or an RFC 6570 template when it has variables. */
  readonly uri: string;
  readonly isTemplate: boolean;
  /** Values to offer for a variable that begins with what was typed. */
  readonly complete?: Readonly<Record<string, (typed: string) => readonly string[]>>;
  /**
   * The JSON text at a URI.
   * @throws GpuError when the URI names nothing; its message says what exists.
   */
  read(variables: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<string>;
}

export interface GpuResourceOptions {
  readonly nodeName: string;
  readonly tools: readonly GpuTool[];
}

/** The resources of a node: its inventory, and the Xid catalogue. */
export function createGpuResources({ nodeName, tools }: GpuResourceOptions): readonly GpuResource[] {
  return [
    {
      name: 'gpu-inventory',
      title: `GPU inventory of ${nodeName}`,
      description: 'The answer of get_gpu_inventory.',
      mimeType: 'application/json',
      uri: `gpu://${encodeURIComponent(nodeName)}/inventory`,
      isTemplate: false,
      read: (_variables, signal) => answerOf(tools, 'get_gpu_inventory', signal),
    },
    {
      name: 'xid-catalog',
      title: 'Xid catalogue entry',
      description: 'Meaning, severity and vendor action of one Xid code.',
      mimeType: 'application/json',
      uri: 'gpu://catalog/xid/{code}',
      isTemplate: true,
      complete: {
        code: (typed) =>
          xidCatalogue.map((entry) => String(entry.code)).filter((code) => code.startsWith(typed)),
      },
      async read({ code = '' }) {
        const entry = /^\d{1,4}$/.test(code) ? findXid(Number(code)) : undefined;
        if (entry) return JSON.stringify(entry);
        throw new GpuError(
          'INVALID_INPUT',
          `Xid ${JSON.stringify(code.slice(0, 20))} is not in the catalogue.`,
          {
            hint: `Codes are numbers from ${xidCatalogue[0]?.code} to ${xidCatalogue.at(-1)?.code}.`,
          },
        );
      },
    },
  ];
}

async function answerOf(
  tools: readonly GpuTool[],
  name: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const tool = tools.find((each) => each.name === name);
  if (!tool) throw new GpuError('INTERNAL', `${name} is not among the tools.`);
  const result = await tool.call({}, signal ? { signal } : {});
  if (result.isError) throw new GpuError('UNAVAILABLE', result.text);
  return result.text;
}
