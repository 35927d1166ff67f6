import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import type { Backing, Filesystem } from '../../src/filesystem/api.js';
import { failed } from '../../src/fuse/kernel/addon.js';
import { NodeIds } from '../../src/fuse/kernel/node-ids.js';
import { Passthrough } from '../../src/fuse/kernel/passthrough.js';

/** The kernel's rule: no node is open in both ways at once, and all passthrough opens of one have one file. */
describe('Passthrough', () => {
  const setUp = (answer?: number) => {
    const backings = new Map<number, Backing>();
    const nodes = new NodeIds(7);
    const open = new Set<number>();
    const split: number[] = [];
    let id = 0;
    const fs = { backing: (handle: number) => backings.get(handle) ?? null } as unknown as Filesystem;
    const passthrough = new Passthrough(fs, nodes, silentLog, {
      open: () => {
        if (answer !== undefined) return answer;
        open.add(++id);
        return id;
      },
      close: (closed) => (open.delete(closed) ? 0 : failed.noEntry),
    });
    passthrough.isOn = true;
    passthrough.onSplit = (node) => split.push(node);
    nodes.reference(41);
    return { backings, nodes, open, split, passthrough };
  };

  it('opens join those that are there, and the file is given back after the last', () => {
    const { backings, open, passthrough } = setUp();
    const backing = { fd: 3 };
    for (const handle of [1, 2]) backings.set(handle, backing);
    expect([passthrough.opened(42, 1, true, false), passthrough.opened(42, 2, true, false)]).toEqual([1, 1]);
    passthrough.released(1);
    expect(open.size).toBe(1);
    passthrough.released(2);
    passthrough.released(2);
    expect(open.size).toBe(0);
    expect(passthrough.opened(42, 3, false, false)).toBe(0);
    backings.set(4, backing);
    expect(passthrough.opened(42, 4, true, false)).toBe(0);
  });

  it('an open that cannot join goes to another node, once', () => {
    const { backings, nodes, split, passthrough } = setUp();
    backings.set(1, { fd: 3 }).set(2, { fd: 4 });
    passthrough.opened(42, 1, true, false);
    expect(() => passthrough.opened(42, 2, true, false)).toThrow(expect.objectContaining({ code: 'ESTALE' }));
    expect(() => passthrough.requireOrdinary(42)).toThrow(expect.objectContaining({ code: 'ESTALE' }));
    const node = nodes.nodeOf(41);
    expect([split, nodes.nodesOf(41), nodes.inoOf(node), nodes.inoOf(42)]).toEqual([[42], [node, 42], 41, 41]);
    passthrough.requireOrdinary(node);
    nodes.reference(41);
    expect(passthrough.opened(node, 3, false, false)).toBe(0);
    expect(nodes.isSplit(41)).toBe(true);
    nodes.forget(42, 1);
    expect([nodes.isSplit(41), nodes.nodesOf(41), nodes.held]).toEqual([false, [node], 1]);
  });

  it('a writer joins writers and makes readers join, but not readers who were first', () => {
    const { backings, nodes, passthrough } = setUp();
    const backing = { fd: 3 };
    for (const handle of [1, 2, 3]) backings.set(handle, backing);
    expect(passthrough.created(41, 1, true, true)).toBe(1);
    expect(passthrough.takesWriters(42)).toBe(true);
    expect([passthrough.opened(42, 2, true, true), passthrough.opened(42, 3, true, false)]).toEqual([1, 1]);
    expect(() => passthrough.requireOrdinary(42)).toThrow(expect.objectContaining({ code: 'ESTALE' }));
    for (const handle of [1, 2, 3]) passthrough.released(handle);
    nodes.reference(41);
    const node = nodes.nodeOf(41);
    expect(passthrough.opened(node + 1, 3, true, false)).toBe(2);
    expect(passthrough.takesWriters(node + 1)).toBe(false);
  });

  it('a file that cannot be handed over is opened in the ordinary way', () => {
    const { passthrough } = setUp();
    const broken = new Passthrough(
      {
        backing: () => {
          throw new Error('no descriptors left');
        },
      } as unknown as Filesystem,
      new NodeIds(7),
      silentLog,
      { open: () => 1, close: () => 0 },
    );
    broken.isOn = true;
    expect(broken.opened(42, 1, true, true)).toBe(0);
    expect(passthrough.created(41, 1, true, true)).toBe(0);
  });

  it('a kernel that refuses is not asked again', () => {
    const { backings, passthrough } = setUp(failed.notPermitted);
    backings.set(1, { fd: 3 }).set(2, { fd: 3 });
    expect([passthrough.opened(42, 1, true, false), passthrough.opened(43, 2, true, false)]).toEqual([0, 0]);
  });
});
