import { expect, test, vi } from 'vitest';
import type { RemoteEntry, RequestOptions } from '../../../src/providers/provider.js';
import {
  type ContractSetup,
  existing,
  failure,
  noise,
  type Operation,
  type Room,
  type Rooms,
  source,
  testIf,
  treeOf,
} from '../bench.js';

/** The longest time for an abort to end a call: a change waits a second for its answer, on a slow machine. Far below a stall. */
const promptMs = 15_000;

interface Act {
  readonly operation: Operation;
  readonly able?: boolean;
  run(room: Room, file: RemoteEntry, options: RequestOptions): Promise<unknown>;
}

export function abortContract(rooms: Rooms, { capabilities, sizes }: ContractSetup): void {
  const acts: readonly Act[] = [
    { operation: 'account', run: (room, _, options) => room.provider.account(options) },
    { operation: 'list-files', run: (room, _, options) => room.provider.list(room.folder, options) },
    { operation: 'stat-file', run: (room, file, options) => room.provider.stat(file, options) },
    {
      operation: 'download',
      run: (room, file, options) => room.provider.read(file as never, { offset: 0, length: 1 }, options),
    },
    {
      operation: 'create-folder',
      able: capabilities.folders === 'real',
      run: (room, _, options) => room.provider.createFolder(room.folder.id, 'new', options),
    },
    {
      operation: 'upload',
      run: (room, _, options) =>
        room.provider.upload({ parentId: room.folder.id, name: 'new' }, source(Buffer.from('x')), options),
    },
    {
      operation: 'upload-chunk',
      able: capabilities.resumableUpload,
      run: (room, _, options) =>
        room.provider.upload({ parentId: room.folder.id, name: 'new' }, source(noise(sizes.simple + 1)), options),
    },
    {
      operation: 'rename-file',
      able: capabilities.moveFile,
      run: (room, file, options) => room.provider.move(file, { parentId: room.folder.id, name: 'new' }, options),
    },
    {
      operation: 'trash-file',
      able: capabilities.trash,
      run: (room, file, options) => room.provider.trash(file, options),
    },
    {
      operation: 'remove-file',
      able: capabilities.permanentDelete,
      run: (room, file, options) => room.provider.remove(file, options),
    },
  ];

  for (const { operation, able = true, run } of acts) {
    const ableTo = testIf(able, 'the provider cannot do this');
    ableTo(`an abort during ${operation} ends it promptly`, async () => {
      const room = rooms();
      const file = await existing(room, 'f', 'content');
      room.server.fault(operation, { kind: 'stall', ms: 60_000 });
      const stop = new AbortController();
      const ended = failure(run(room, file, { signal: stop.signal }));
      await vi.waitFor(() => expect(room.server.requests(operation).length).toBeGreaterThan(0), {
        interval: 5,
        timeout: 60_000,
      });
      const begun = performance.now();
      stop.abort();
      const { error } = await ended;
      expect(error).toMatchObject({ name: 'ProviderError', code: 'aborted' });
      expect(performance.now() - begun).toBeLessThan(promptMs);
    });

    ableTo(`${operation} with a signal that has fired makes no request`, async () => {
      const room = rooms();
      const file = await existing(room, 'f', 'content');
      const { error } = await failure(run(room, file, { signal: AbortSignal.abort() }));
      expect(error).toMatchObject({ name: 'ProviderError', code: 'aborted' });
      expect(room.server.requests()).toEqual([]);
      expect(Object.keys(treeOf(room))).toEqual(['f']);
    });
  }

  test('an abort while a request waits to be repeated ends it promptly', async () => {
    const room = rooms();
    room.server.fault('account', { kind: 'status', status: 500 });
    const waiting = room.server.connect({ clock: undefined, deadlineMs: 60_000 });
    const stop = new AbortController();
    const ended = failure(waiting.account({ signal: stop.signal }));
    await vi.waitFor(() => expect(room.server.requests('account').length).toBeGreaterThan(1), {
      interval: 5,
      timeout: 60_000,
    });
    stop.abort();
    const { error, tookMs } = await ended;
    expect(error).toMatchObject({ code: 'aborted' });
    expect(tookMs).toBeLessThan(promptMs);
  });

  test('an abort in the middle of a body ends it promptly', async () => {
    const room = rooms();
    const file = await existing(room, 'f', noise(2_000_000));
    room.server.fault('download', { kind: 'slow', bytesPerSecond: 1_000_000 });
    const stop = new AbortController();
    const { body } = await room.provider.read(file, { offset: 0, length: file.size }, { signal: stop.signal });
    const { error, tookMs } = await failure(
      (async () => {
        for await (const part of body) if (part.byteLength > 0) stop.abort();
      })(),
    );
    expect(error).toMatchObject({ name: 'ProviderError', code: 'aborted' });
    expect(tookMs).toBeLessThan(promptMs);
  });

  test('an abort of one call leaves the others alone', async () => {
    const room = rooms();
    await existing(room, 'f', 'x');
    room.server.fault('list-files', { kind: 'stall', ms: 300 });
    const stop = new AbortController();
    const aborted = failure(room.provider.list(room.folder, { signal: stop.signal }));
    const other = room.provider.list(room.folder);
    await vi.waitFor(() => expect(room.server.requests('list-files').length).toBe(capabilities.changes ? 1 : 2), {
      interval: 5,
    });
    stop.abort();
    expect((await aborted).error).toMatchObject({ code: 'aborted' });
    expect(await other).toHaveLength(1);
  });
}
