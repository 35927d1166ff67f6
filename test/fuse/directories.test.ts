import { describe, expect, it } from 'vitest';
import { attr, entryOutHead, openOut } from '../../src/fuse/kernel/protocol/structs.js';
import { FakeDevice, request, viewOf } from './fake-device.js';
import { MemoryFilesystem } from './memory-filesystem.js';

describe('listings', () => {
  const chunk = (handle: number, offset: number, size: number): Buffer => {
    const body = Buffer.alloc(40);
    body.writeUInt32LE(handle, 0);
    body.writeUInt32LE(offset, 8);
    body.writeUInt32LE(size, 16);
    return body;
  };
  const create = (fs: MemoryFilesystem, name: string): unknown => fs.mkdir(fs.root, name, 0o755);

  /** Names with their positions; each entry is a fuse_entry_out and a fuse_dirent. */
  function parse(body: Buffer): { name: string; position: number; node: number; size: number }[] {
    const entries = [];
    for (let at = 0; at < body.length; ) {
      const head = entryOutHead.$bytes + attr.$bytes;
      const length = body.readUInt32LE(at + head + 16);
      entries.push({
        name: body.toString('utf8', at + head + 24, at + head + 24 + length),
        position: body.readUInt32LE(at + head + 8),
        node: body.readUInt32LE(at),
        size: body.readUInt32LE(at + entryOutHead.$bytes + attr.size.offset),
      });
      at += head + 24 + ((length + 7) & ~7);
    }
    return entries;
  }

  it('resume after any entry, in one listing and in a later one, whatever was removed', async () => {
    const fs = new MemoryFilesystem();
    for (let i = 0; i < 100; i++) await create(fs, `name${i}`);
    const device = new FakeDevice(fs);
    const open = (): number => openOut.fh.get(viewOf(device.ask(request('opendir'))?.body ?? Buffer.alloc(0)), 0);
    const list = (handle: number, offset: number, size: number) =>
      parse(device.ask(request('readdirplus', { body: chunk(handle, offset, size) }))?.body ?? Buffer.alloc(0));
    const all = ['.', '..', ...Array.from({ length: 100 }, (_, i) => `name${i}`)];

    const first = open();
    const names: string[] = [];
    for (let offset = 0, part = list(first, 0, 1000); part.length > 0; part = list(first, offset, 1000)) {
      names.push(...part.map(({ name }) => name));
      offset = part.at(-1)?.position ?? 0;
    }
    expect(names).toEqual(all);

    const half = list(first, 0, 8000);
    for (const { name } of half.slice(2, 20)) await fs.rmdir(fs.root, name);
    const second = open();
    const rest = list(second, half.at(-1)?.position ?? 0, 100_000).map(({ name }) => name);
    expect([...half.map(({ name }) => name), ...rest]).toEqual(all);
    device.send(request('releasedir', { body: chunk(first, 0, 0).subarray(0, 24) }));
    expect(device.session.connection.directories.openStreams).toBe(1);
  });

  it('give attributes as they are when they are given', async () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    device.send(request('create'), request('opendir'));
    await create(fs, 'second');
    const plus = (offset: number, size: number) =>
      parse(device.ask(request('readdirplus', { body: chunk(1, offset, size) }))?.body ?? Buffer.alloc(0));
    const head = plus(0, 400);
    expect(head.map(({ name }) => name)).toEqual(['.', '..']);
    device.send(request('write'));
    expect(plus(2, 4096).map(({ name, size }) => [name, size])).toEqual([
      ['file', 11],
      ['second', 0],
    ]);
  });

  it('may be kept by the kernel until they are invalidated or run out', async () => {
    const fs = new MemoryFilesystem();
    const device = new FakeDevice(fs);
    const keeps = (): boolean => {
      const body = device.ask(request('opendir'))?.body ?? Buffer.alloc(0);
      return (openOut.openFlags.get(viewOf(body), 0) & 2) !== 0;
    };
    const read = (handle: number): unknown => device.ask(request('readdirplus', { body: chunk(handle, 0, 4096) }));
    expect(keeps()).toBe(false);
    read(1);
    expect(keeps()).toBe(true);
    fs.invalidate({ kind: 'entry', parent: 7, name: 'new' });
    expect(keeps()).toBe(false);
    fs.validityMs = 0;
    read(3);
    expect(keeps()).toBe(false);
  });
});
