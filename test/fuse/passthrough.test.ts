import { describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.js';
import type { Backing, Filesystem } from '../../src/filesystem/api.js';
import { failed } from '../../src/fuse/kernel/addon.js';
import { type OpenMode, Passthrough } from '../../src/fuse/kernel/connection/passthrough.js';

/** The kernel's rule: no node is open in both ways at once, and all passthrough opens of one have one file. */
describe('Passthrough', () => {
  const setUp = (answer?: number) => {
    const backings = new Map<number, Backing>();
    const open = new Set<number>();
    const joined: [number, Backing][] = [];
    let id = 0;
    const fs = {
      backing: (handle: number, inUse?: Backing) => {
        const backing = backings.get(handle) ?? null;
        return inUse === undefined || backing === inUse ? backing : null;
      },
      mapBacking: (handle: number, inUse: Backing) => void joined.push([handle, inUse]),
    } as unknown as Filesystem;
    const passthrough = new Passthrough(fs, silentLog, {
      open: () => {
        if (answer !== undefined) return answer;
        open.add(++id);
        return id;
      },
      close: (closed) => (open.delete(closed) ? 0 : failed.noEntry),
    });
    passthrough.isOn = true;
    const opened = (handle: number, { mayPass = true, writes = false, node = 42 } = {}) =>
      passthrough.opened(node, { handle, mayPass, writes }) as OpenMode;
    return { backings, open, joined, passthrough, opened };
  };
  const ordinary: OpenMode = { kind: 'ordinary', id: 0 };
  const passed = (id: number): OpenMode => ({ kind: 'passthrough', id });
  const served = (id: number): OpenMode => ({ kind: 'served', id });

  it('opens join those that are there, and the file is given back after the last', () => {
    const { backings, open, passthrough, opened } = setUp();
    const backing = { fd: 3 };
    for (const handle of [1, 2, 4]) backings.set(handle, backing);
    expect([opened(1), opened(2)]).toEqual([passed(1), passed(1)]);
    passthrough.released(1);
    expect(open.size).toBe(1);
    passthrough.released(2);
    passthrough.released(2);
    expect(open.size).toBe(0);
    expect(opened(3, { mayPass: false })).toEqual(ordinary);
    // Beside one in the ordinary way.
    expect(opened(4)).toEqual(ordinary);
  });

  it('an open that cannot read or write the file is served, under the same node', () => {
    const { backings, open, joined, passthrough, opened } = setUp();
    const backing = { fd: 3 };
    backings.set(1, backing).set(2, { fd: 4 });
    expect(opened(1)).toEqual(passed(1));
    expect([opened(2), opened(3, { mayPass: false, writes: true })]).toEqual([served(1), served(1)]);
    expect(joined).toEqual([
      [2, backing],
      [3, backing],
    ]);
    // The kernel has its file as long as any of them is open.
    passthrough.released(1);
    passthrough.released(2);
    expect([open.size, opened(5)]).toEqual([1, served(1)]);
    passthrough.released(3);
    passthrough.released(5);
    expect(open.size).toBe(0);
  });

  it('a writer joins writers and makes readers join, but is served beside readers who were first', () => {
    const { backings, passthrough, opened } = setUp();
    const backing = { fd: 3 };
    for (const handle of [1, 2, 3, 4, 5]) backings.set(handle, backing);
    expect(opened(1, { writes: true })).toEqual(passed(1));
    expect([opened(2, { writes: true }), opened(3)]).toEqual([passed(1), passed(1)]);
    for (const handle of [1, 2, 3]) passthrough.released(handle);
    expect([opened(4), opened(5, { writes: true })]).toEqual([passed(2), served(2)]);
  });

  it('one that cannot join is counted until it is released all the same', async () => {
    const backing = { fd: 3 };
    const fs = { backing: () => backing, mapBacking: () => Promise.reject(new Error('busy')) } as unknown as Filesystem;
    const closed: number[] = [];
    const passthrough = new Passthrough(fs, silentLog, { open: () => 1, close: (id) => closed.push(id) });
    passthrough.isOn = true;
    void passthrough.opened(42, { handle: 1, mayPass: true, writes: false });
    await expect(passthrough.opened(42, { handle: 2, mayPass: false, writes: true })).rejects.toThrow('busy');
    passthrough.released(1);
    expect(closed).toEqual([]);
    passthrough.released(2);
    expect(closed).toEqual([1]);
  });

  it('a file that cannot be passed through is opened in the ordinary way', () => {
    const { opened } = setUp();
    const backing = (): never => {
      throw new Error('no descriptors left');
    };
    const broken = new Passthrough({ backing } as unknown as Filesystem, silentLog, { open: () => 1, close: () => 0 });
    broken.isOn = true;
    expect(broken.opened(42, { handle: 1, mayPass: true, writes: true })).toEqual(ordinary);
    expect(opened(1, { writes: true })).toEqual(ordinary);
  });

  it('a kernel that refuses is not asked again', () => {
    const { backings, opened } = setUp(failed.notPermitted);
    backings.set(1, { fd: 3 }).set(2, { fd: 3 });
    expect([opened(1), opened(2, { node: 43 })]).toEqual([ordinary, ordinary]);
  });
});
