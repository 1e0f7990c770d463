import { describe, expect, it } from 'vitest';
import { rc } from '../abi/constants.ts';
import { readGrowing } from './growing-list.ts';

/** A library with so many entries, which fills in what fits and tells the count. */
function library(entries: () => number) {
  const rooms: number[] = [];
  const call = (count: Buffer, buffer: Buffer) => {
    const room = count.readUInt32LE(0);
    rooms.push(room);
    expect(buffer.length).toBeGreaterThanOrEqual(room * 4);
    const have = entries();
    count.writeUInt32LE(have);
    if (have > room) return rc.insufficientSize;
    for (let position = 0; position < have; position += 1) buffer.writeUInt32LE(position, position * 4);
    return rc.success;
  };
  return { rooms, call };
}

describe('readGrowing', () => {
  it('reads what fits at the first call', () => {
    const { rooms, call } = library(() => 3);
    expect(readGrowing('list', 8, 4, call)).toMatchObject({ count: 3 });
    expect(rooms).toEqual([8]);
  });

  it('makes room for twice as many as it was told of', () => {
    const { rooms, call } = library(() => 20);
    expect(readGrowing('list', 8, 4, call)).toMatchObject({ count: 20 });
    expect(rooms).toEqual([8, 45]);
  });

  it('gives up on a list that outgrows every room', () => {
    let have = 100;
    const { rooms, call } = library(() => {
      have *= 10;
      return have;
    });
    expect(readGrowing('list', 8, 4, call)).toMatchObject({ value: null, reason: 'error' });
    expect(rooms).toHaveLength(5);
    expect(Math.max(...rooms)).toBe(65_536);
  });

  it('does not believe a count that is more than the room', () => {
    const call = (count: Buffer) => {
      count.writeUInt32LE(1_000_000);
      return rc.success;
    };
    expect(readGrowing('list', 8, 4, call)).toMatchObject({ value: null, reason: 'error' });
  });

  it('hands other return codes on', () => {
    expect(readGrowing('list', 8, 4, () => rc.notFound)).toEqual({ code: rc.notFound });
  });
});
