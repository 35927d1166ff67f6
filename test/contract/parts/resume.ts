/**
 * An interrupted upload goes on from its last checkpoint. The crash may come between any act and the checkpoint that records it.
 * In the end there is one file, with the right content, and nothing beside it.
 */
import { expect, test } from 'vitest';
import type { RemoteFile, UploadCheckpoint } from '../../../src/providers/provider.js';
import {
  type ContractSetup,
  existing,
  failure,
  md5,
  noise,
  type Room,
  type Rooms,
  source,
  testIf,
  treeOf,
} from '../bench.js';

/** The checkpoint as a journal gives it back. */
const journaled = (checkpoint: UploadCheckpoint): UploadCheckpoint =>
  JSON.parse(JSON.stringify(checkpoint)) as UploadCheckpoint;

/** Uploads until just before checkpoint number `last` (from 0) is written. Returns the checkpoints that were written. */
async function interrupted(
  room: Room,
  target: { name: string; replaces?: RemoteFile },
  content: Buffer,
  last: number,
): Promise<UploadCheckpoint[]> {
  const written: UploadCheckpoint[] = [];
  const stop = new AbortController();
  const provider = room.server.connect();
  const upload = provider.upload({ parentId: room.folder.id, ...target }, source(content), {
    signal: stop.signal,
    onCheckpoint(checkpoint) {
      if (written.length === last) stop.abort();
      stop.signal.throwIfAborted();
      written.push(journaled(checkpoint));
    },
  });
  const { error } = await failure(upload).catch(() => ({ error: undefined }));
  await provider.close();
  if (error !== undefined) expect(error).toMatchObject({ name: 'ProviderError' });
  return written;
}

export function resumeContract(rooms: Rooms, { capabilities, costs, sizes }: ContractSetup): void {
  const able = testIf(capabilities.resumableUpload, 'the provider has no upload in parts');
  const content = noise(sizes.simple * 2, 11);

  able('what the server had accepted before an interruption is not sent again', async () => {
    const room = rooms();
    const stop = new AbortController();
    let last: UploadCheckpoint | undefined;
    const target = { parentId: room.folder.id, name: 'big' };
    const { error } = await failure(
      room.provider.upload(target, source(content), {
        signal: stop.signal,
        onCheckpoint: (checkpoint) => {
          last = journaled(checkpoint);
        },
        onProgress: (sent) => sent >= content.length / 2 && stop.abort(),
      }),
    );
    expect(error).toMatchObject({ code: 'aborted' });
    room.server.forget();
    const stored = await room.server.connect().upload(target, source(content), { resume: last });
    expect(treeOf(room)).toEqual({ big: md5(content) });
    expect(stored.size).toBe(content.length);
    const sent = room.server.requests('upload-chunk').reduce((sum, { bytesIn }) => sum + bytesIn, 0);
    expect(sent).toBeLessThanOrEqual(content.length / 2 + (costs.probes ?? 0));
    expect(room.server.requests('upload-start')).toHaveLength(costs.probes ?? 0);
  });

  able('a checkpoint of other content is not used', async () => {
    const room = rooms();
    const [first, ...rest] = await interrupted(room, { name: 'big' }, content, 4);
    expect(first).toBeDefined();
    const other = noise(content.length, 12);
    await room.server
      .connect()
      .upload({ parentId: room.folder.id, name: 'big' }, source(other), { resume: rest.at(-1) });
    expect(room.store.stat(`${room.path}/big`)?.md5).toBe(md5(other));
  });

  able('a checkpoint whose upload the server has forgotten begins anew', async () => {
    const room = rooms();
    const written = await interrupted(room, { name: 'big' }, content, 4);
    for (const { path } of room.store.tree()) if (path.startsWith(`${room.path}/`)) room.store.remove(path);
    const target = { parentId: room.folder.id, name: 'big' };
    await room.server.connect().upload(target, source(content), { resume: written.at(-1) });
    expect(treeOf(room)).toEqual({ big: md5(content) });
  });

  test('a checkpoint that makes no sense is not used', async () => {
    const room = rooms();
    const small = noise(1000);
    for (const [n, resume] of [
      {},
      { v: 99 },
      { kind: 'chunked', v: 1 },
      { v: 1, kind: 'simple', size: 'x' },
    ].entries()) {
      const target = { parentId: room.folder.id, name: `f${n}` };
      await room.provider.upload(target, source(small), { resume: resume as UploadCheckpoint });
      expect(room.store.stat(`${room.path}/f${n}`)?.md5).toBe(md5(small));
    }
  });

  for (const [title, isLarge, replacing] of [
    ['a new small file', false, false],
    ['a small new version', false, true],
    ['a new large file', true, false],
    ['a large new version', true, true],
  ] as const) {
    const run = isLarge ? able : test;
    for (const forgotten of [0, 1, 2])
      run(`${title} is stored once after a crash at every checkpoint, ${forgotten} of them not written`, async () => {
        const room = rooms();
        const data = isLarge ? content : noise(5000);
        for (let at = 0; ; at++) {
          const name = `file-${at}`;
          const replaces = replacing ? await existing(room, name, 'old') : undefined;
          const written = await interrupted(room, { name, replaces }, data, at);
          const resume = written.at(-1 - forgotten);
          // Without a checkpoint nobody knows of the first try. If it has stored the new file, no second upload is made.
          const taken = room.store.stat(`${room.path}/${name}`);
          if (resume !== undefined || taken === undefined || replacing) {
            const target = { parentId: room.folder.id, name, replaces };
            const again = await room.server
              .connect()
              .upload(target, source(data), { resume })
              .catch((error) => error);
            const state = { at, checkpoint: resume, again, tree: treeOf(room) };
            expect(again, JSON.stringify(state)).toMatchObject({ name, size: data.length });
            expect(room.store.stat(`${room.path}/${name}`)?.id).toBe((again as RemoteFile).id);
          }
          expect(room.store.stat(`${room.path}/${name}`)?.md5).toBe(md5(data));
          const left = Object.keys(treeOf(room)).filter((path) => !path.startsWith('file-'));
          // Nobody can know of files that no checkpoint records.
          if (resume === undefined) for (const path of left) room.store.remove(`${room.path}/${path}`);
          else expect(left, JSON.stringify({ at, resume })).toEqual([]);
          if (written.length < at) break;
        }
      });
  }
}
