import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../../support/extent.js';
import { appending, emptying, errnoOf, mounted, writing } from '../harness.js';

const K64 = 64 * 1024;

describe('writing into an existing file', () => {
  it('overwrites a part without reading the base before close', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', '0123456789'));
    await m.names();
    m.provider.counts();
    const handle = await m.open('a', writing);
    await m.write(handle, 'XY', 4);
    expect(m.provider.counts()).toEqual({});
    await m.close(handle);
    expect(m.provider.counts()).toEqual({ read: 1, upload: 1 });
    expect(m.provider.other.tree()).toEqual({ a: '0123XY6789' });
  });

  it('reads what is still the base through the same descriptor', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', '0123456789'));
    const handle = await m.open('a', writing);
    await m.write(handle, 'XY', 4);
    expect(await m.read(handle)).toBe('0123XY6789');
    expect(await m.read(handle, 3, 4)).toBe('3XY6');
    expect(await m.read(handle, 10, 4)).toBe('');
    await m.close(handle);
    expect(await m.cat('a')).toBe('0123XY6789');
  });

  it('fetches of a large base only the blocks that are read, until close', async () => {
    const base = Buffer.alloc(20 * K64, 'b');
    const m = await mounted({}, (provider) => provider.other.put('big', base));
    await m.names();
    const handle = await m.open('big', writing);
    await m.write(handle, 'changed', 7 * K64);
    await m.read(handle, 13 * K64, 100);
    expect(m.provider.sentBytes).toBe(K64);
    await m.close(handle);
    base.write('changed', 7 * K64);
    expect(Buffer.from(m.provider.other.at('big')?.data ?? []).equals(base)).toBe(true);
    expect(m.provider.sentBytes).toBeLessThanOrEqual(20 * K64);
  });

  it('appends without reading anything before close', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'begin'));
    await m.names();
    m.provider.counts();
    const handle = await m.open('a', appending);
    await m.write(handle, '-end', 0);
    expect(m.provider.counts()).toEqual({});
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ a: 'begin-end' });
  });

  it('needs no byte of a base that O_TRUNC throws away', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', 'long old content'));
    await m.names();
    m.provider.counts();
    const handle = await m.open('a', emptying);
    await m.write(handle, 'new');
    await m.close(handle);
    expect(m.provider.counts()).toEqual({ upload: 1 });
    expect(m.provider.other.tree()).toEqual({ a: 'new' });
  });

  it('fills holes with zeros', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'end', 5);
    expect(await m.read(handle)).toBe('\0\0\0\0\0end');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ a: '\0\0\0\0\0end' });
  });

  it('cuts and extends, and what was cut off does not come back', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', '0123456789'));
    const handle = await m.open('a', writing);
    const ino = await m.ino('a');
    await m.fs.setattr(ino, { size: 4, handle });
    await m.fs.setattr(ino, { size: 8, handle });
    await m.write(handle, 'X', 6);
    expect(await m.read(handle)).toBe('0123\0\0X\0');
    await m.close(handle);
    expect(m.provider.other.tree()).toEqual({ a: '0123\0\0X\0' });
  });

  it('stores truncate(2) by name at once, with one upload', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', '0123456789'));
    await m.names();
    m.provider.counts();
    await m.truncate('a', 3);
    expect(m.provider.counts()).toEqual({ read: 1, upload: 1 });
    await m.truncate('a', 0);
    expect(m.provider.counts()).toEqual({ upload: 1 });
    expect(m.provider.other.tree()).toEqual({ a: '' });
    expect(m.isClean()).toBe(true);
  });

  it('extends with fallocate unless the size is to stay', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'x');
    await m.fs.fallocate(handle, { offset: 0, length: 4, keepSize: true, zeroes: false });
    expect((await m.stat('a')).size).toBe(1);
    await m.fs.fallocate(handle, { offset: 2, length: 2, keepSize: false, zeroes: false });
    expect((await m.stat('a')).size).toBe(4);
    expect(m.fs.seek(handle, 1, 'data')).toBe(1);
    expect(m.fs.seek(handle, 1, 'hole')).toBe(4);
    expect(await errnoOf(() => m.fs.seek(handle, 4, 'data'))).toBe('ENXIO');
    await m.close(handle);
  });

  it('says ENETUNREACH and keeps the change when the base cannot be fetched at close', async () => {
    const m = await mounted({}, (provider) => provider.other.put('a', '0123456789'));
    const handle = await m.open('a', writing);
    await m.write(handle, 'XY', 4);
    m.provider.fail('read', 'network');
    expect(await errnoOf(m.close(handle))).toBe('ENETUNREACH');
    expect(await m.pending()).toEqual(['/a failed']);
    expect(await m.cat('a')).toBe('0123XY6789');
    m.fs.uploader.retryFailed();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ a: '0123XY6789' });
  });
});

const step = fc.oneof(
  fc.record({ act: fc.constant('write' as const), at: fc.nat(200), text: fc.string({ minLength: 1, maxLength: 40 }) }),
  fc.record({ act: fc.constant('truncate' as const), at: fc.nat(200) }),
  fc.record({ act: fc.constant('read' as const), at: fc.nat(200) }),
  fc.record({ act: fc.constant('close' as const) }),
  fc.record({ act: fc.constant('fsync' as const) }),
  fc.record({ act: fc.constant('crash' as const) }),
);

describe('a file under random operations', () => {
  it.each([[false], [true]])('holds what a plain buffer holds (write-back: %s)', async (writeBack) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        let m = await mounted({ writeBack }, (provider) => provider.other.put('a', 'the base of the file'));
        let model = Buffer.from('the base of the file');
        let handle = await m.open('a', writing);
        for (const one of steps) {
          if (one.act === 'write') {
            const text = Buffer.from(one.text);
            const grown = Buffer.alloc(Math.max(model.length, one.at + text.length));
            model.copy(grown);
            text.copy(grown, one.at);
            model = grown;
            await m.fs.write(handle, text, one.at);
          } else if (one.act === 'truncate') {
            const cut = Buffer.alloc(one.at);
            model.copy(cut);
            model = cut;
            await m.fs.setattr(await m.ino('a'), { size: one.at, handle });
          } else if (one.act === 'read') {
            expect(await m.read(handle, one.at)).toBe(model.subarray(one.at).toString());
          } else if (one.act === 'close') {
            await m.close(handle);
            handle = await m.open('a', writing);
          } else {
            await m.fs.fsync(handle);
            if (one.act === 'fsync') continue;
            m = await m.crash();
            handle = await m.open('a', writing);
          }
        }
        expect((await m.stat('a')).size).toBe(model.length);
        expect(await m.cat('a')).toBe(model.toString());
        await m.close(handle);
        await m.fs.uploader.drain();
        expect(Buffer.from(m.provider.other.at('a')?.data ?? []).toString()).toBe(model.toString());
        expect(Object.keys(m.provider.other.tree())).toEqual(['a']);
        await m.unmount();
      }),
      { numRuns: runs(60) },
    );
  });
});
