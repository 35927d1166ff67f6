/** What a power cut or a damaged disk does to the spool directory. */
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ProviderError } from '../../../src/providers/errors.js';
import { errnoOf, type Mounted, mounted, settle, writing } from '../harness.js';

describe('after a power cut that left nothing of an unsynced spool file', () => {
  const cut = async (m: Mounted, damage: (path: string) => void = (path) => truncateSync(path, 0)) => {
    for (const row of m.core.journal.all()) damage(join(m.directory, 'spool', row.spool));
    return m.crash({ ...m.options, boot: 'second boot' });
  };

  it.each([
    ['is empty', (path: string) => truncateSync(path, 0)],
    ['is missing', (path: string) => rmSync(path)],
    ['holds zeros', (path: string) => writeFileSync(path, Buffer.alloc(13))],
  ])('a small content that close accepted is there, though its file %s', async (_what, damage) => {
    const m = await mounted({ writeBack: true }, (provider) => provider.other.put('a', 'old'));
    m.provider.gate('upload');
    await m.put('a', 'newer content');
    const revived = await cut(m, damage);
    expect(await revived.cat('a')).toBe('newer content');
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ a: 'newer content' });
    expect(revived.isClean()).toBe(true);
    expect(revived.core.state.sql.prepare('SELECT ino FROM kept').all()).toEqual([]);
  });

  it('what was written after an fsync is gone, and what fsync accepted is there', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'accepted');
    await m.fs.fsync(handle);
    await m.write(handle, 'XXX', 2);
    const revived = await cut(m);
    expect(await revived.cat('a')).toBe('accepted');
  });

  it('a file that was cut after an fsync has no more than it was cut to', async () => {
    const m = await mounted();
    const handle = await m.create('a');
    await m.write(handle, 'accepted');
    await m.fs.fsync(handle);
    await m.fs.setattr(await m.ino('a'), { size: 3, handle });
    const revived = await cut(m);
    expect(await revived.cat('a')).toBe('acc');
  });
});

describe('a disk that fails once to store a content', () => {
  const large = 'new content'.repeat(10_000);
  const failingOnce = async () => {
    const failures = [Object.assign(new Error('i/o error'), { code: 'EIO' })];
    const m = await mounted({
      writeBack: true,
      syncFile: async () => {
        const error = failures.shift();
        if (error !== undefined) throw error;
      },
    });
    m.provider.gate('upload');
    const first = await m.create('a');
    const second = await m.open('a', writing);
    await m.write(first, large);
    return { m, first, second };
  };

  it('each program that has the file open hears of it at its fsync, once', async () => {
    const { m, first, second } = await failingOnce();
    expect(await errnoOf(m.fs.fsync(first))).toBe('EIO');
    const third = await m.open('a', writing);
    expect(await errnoOf(m.fs.fsync(first))).toBe('no error');
    expect(await errnoOf(m.fs.fsync(second))).toBe('EIO');
    expect(await errnoOf(m.fs.fsync(second))).toBe('no error');
    expect(await errnoOf(m.fs.fsync(third))).toBe('no error');
    for (const handle of [first, second, third]) expect(await errnoOf(m.close(handle))).toBe('no error');
  });

  it('or at its close, where that waits for the disk', async () => {
    const { m, first, second } = await failingOnce();
    expect(await errnoOf(m.fs.flush(first))).toBe('EIO');
    expect(await errnoOf(m.fs.flush(second))).toBe('EIO');
    expect(await errnoOf(m.fs.flush(second))).toBe('no error');
    expect(await errnoOf(m.fs.flush(first))).toBe('no error');
  });
});

describe('a spool directory that was damaged', () => {
  const damaged = async (damage: (path: string) => void) => {
    const m = await mounted({ writeBack: true }, (provider) => provider.other.put('a', 'good'));
    m.provider.gate('upload');
    // Larger than what the journal keeps itself.
    await m.put('a', 'newer content'.repeat(6000));
    const name = m.core.journal.all()[0]?.spool ?? '';
    damage(join(m.directory, 'spool', name));
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    return revived;
  };

  it.each([
    ['a missing file', (path: string) => rmSync(path)],
    ['a file cut short', (path: string) => truncateSync(path, 3)],
  ])('never has zeros uploaded for %s, and says what happened', async (_what, damage) => {
    const m = await damaged(damage);
    expect(m.provider.other.tree()).toEqual({ a: 'good' });
    expect(await m.pending()).toEqual(['/a failed']);
    expect((await m.fs.uploader.pending(m.fs.root))[0]?.code).toBe('EIO');
    m.fs.uploader.retryFailed();
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ a: 'good' });
  });

  it.each([false, true])('loses nothing that the service has (it tells md5s: %s)', async (md5) => {
    const m = await mounted({ writeBack: true, provider: { capabilities: { md5 } } }, (provider) =>
      provider.other.put('a', 'good'),
    );
    const text = 'newer content'.repeat(6000);
    // The upload arrives, and its answer does not.
    const gate = m.provider.gate('upload', 'after');
    await m.put('a', text);
    await gate.reached;
    rmSync(join(m.directory, 'spool', m.core.journal.all()[0]?.spool ?? ''));
    const revived = await m.crash();
    await settle();
    expect(await revived.pending()).toEqual([]);
    expect(await revived.cat('a')).toBe(text);
    expect(revived.isClean()).toBe(true);
  });

  it('does not take an earlier content for the lost one', async () => {
    const m = await mounted({ writeBack: true }, (provider) => provider.other.put('a', 'good'));
    const [older, newer] = ['older content'.repeat(6000), 'newer content'.repeat(6000)];
    const gate = m.provider.gate('upload', 'after');
    await m.put('a', older);
    await gate.reached;
    m.provider.offline = true;
    gate.open(new ProviderError('network', 'no answer'));
    await m.put('a', newer);
    rmSync(join(m.directory, 'spool', m.core.journal.all()[0]?.spool ?? ''));
    m.provider.offline = false;
    const revived = await m.crash();
    await settle();
    expect(await revived.pending()).toEqual(['/a failed']);
    expect((await revived.fs.uploader.pending(revived.fs.root))[0]?.error).toContain('uploads discard');
  });

  it('needs no file of an empty content', async () => {
    const m = await mounted({ writeBack: true });
    m.provider.gate('upload');
    await m.put('empty', '');
    rmSync(join(m.directory, 'spool', m.core.journal.all()[0]?.spool ?? ''));
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(revived.provider.other.tree()).toEqual({ empty: '' });
    expect(revived.isClean()).toBe(true);
  });

  it('does not give the file of a lost content to another', async () => {
    const m = await damaged((path) => rmSync(path));
    await m.put('b', 'something else');
    await m.fs.uploader.drain();
    expect(m.provider.other.tree()).toEqual({ a: 'good', b: 'something else' });
  });
});

describe('contents that wait for their upload, and are on the disk already', () => {
  it.each(['the mount that wrote them', 'the next one'])('cost the end of %s no sync each', async (which) => {
    const synced: number[] = [];
    const options = { writeBack: true, syncFile: async (fd: number) => void synced.push(fd) };
    let m = await mounted(options);
    m.fs.uploader.pause();
    for (let i = 0; i < 20; i++) await m.put(`f${i}`, `content ${i}`);
    if (which === 'the next one') {
      m = await m.crash(options);
      m.provider.offline = true;
    }
    await m.fs.uploader.interrupt();
    expect(synced).toEqual([]);
    const revived = await m.crash();
    await revived.fs.uploader.drain();
    expect(Object.keys(revived.provider.other.tree())).toHaveLength(20);
  });
});
