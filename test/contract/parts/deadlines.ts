import { expect, test } from 'vitest';
import type { Provider, RemoteEntry } from '../../../src/providers/provider.js';
import {
  type ContractSetup,
  collect,
  existing,
  failure,
  md5,
  noise,
  type Operation,
  type Room,
  type Rooms,
  source,
  testIf,
  treeOf,
} from '../bench.js';

interface Act {
  readonly operation: Operation;
  readonly able?: boolean;
  run(provider: Provider, room: Room, file: RemoteEntry): Promise<unknown>;
}

export function deadlineContract(rooms: Rooms, { capabilities, costs, provider, sizes }: ContractSetup): void {
  /** The service's own error code, if it has more than the status. */
  const code = provider === '4shared' || provider === '4sync' ? '429.0107' : undefined;
  const large = noise(sizes.simple + sizes.chunk);
  const acts: readonly Act[] = [
    { operation: 'account', run: (provider) => provider.account() },
    { operation: 'list-files', run: (provider, { folder }) => provider.list(folder) },
    { operation: 'stat-file', run: (provider, _, file) => provider.stat(file) },
    {
      operation: 'download',
      run: async (provider, _, file) =>
        await collect((await provider.read(file as never, { offset: 0, length: 5 })).body),
    },
    {
      operation: 'create-folder',
      able: capabilities.folders === 'real',
      run: (provider, { folder }) => provider.createFolder(folder.id, 'new'),
    },
    {
      operation: 'upload',
      run: (provider, { folder }) => provider.upload({ parentId: folder.id, name: 'new' }, source(Buffer.from('x'))),
    },
    {
      operation: 'upload-start',
      able: capabilities.resumableUpload,
      run: (provider, { folder }) => provider.upload({ parentId: folder.id, name: 'new' }, source(large)),
    },
    {
      operation: 'upload-chunk',
      able: capabilities.resumableUpload,
      run: (provider, { folder }) => provider.upload({ parentId: folder.id, name: 'new' }, source(large)),
    },
    {
      operation: 'rename-file',
      able: capabilities.moveFile,
      run: (provider, { folder }, file) => provider.move(file, { parentId: folder.id, name: 'new' }),
    },
    { operation: 'trash-file', able: capabilities.trash, run: (provider, _, file) => provider.trash(file) },
    { operation: 'remove-file', able: capabilities.permanentDelete, run: (provider, _, file) => provider.remove(file) },
  ];

  for (const { operation, able = true, run } of acts) {
    const ableTo = testIf(able, 'the provider cannot do this');

    ableTo(`${operation} that meets nothing but internal errors is server when the deadline has passed`, async () => {
      const room = rooms();
      const file = await existing(room, 'f', 'content');
      room.server.fault(operation, { kind: 'status', status: 500 });
      const begun = room.server.clock.now();
      const { error } = await failure(run(room.provider, room, file));
      expect(error).toMatchObject({ name: 'ProviderError', code: 'server', data: { status: 500 } });
      const tookMs = room.server.clock.now() - begun;
      // 20 s of deadline, and a second one at most where what was done has to be looked up.
      expect(tookMs).toBeGreaterThan(5_000);
      expect(tookMs).toBeLessThan(4 * 20_000);
      expect(room.server.requests(operation).length).toBeLessThan(100);
      expect(treeOf(room).f).toBe(md5(Buffer.from('content')));
    });

    ableTo(`${operation} that a server stalls is timeout within the deadline`, async () => {
      const room = rooms();
      const file = await existing(room, 'f', 'content');
      room.server.fault(operation, { kind: 'stall', ms: 30_000 });
      const impatient = room.server.connect({ clock: undefined, deadlineMs: 300, stallMs: 100 });
      const { error, tookMs } = await failure(run(impatient, room, file));
      expect(error).toMatchObject({ name: 'ProviderError', code: 'timeout' });
      expect(tookMs).toBeLessThan(20_000);
    });

    ableTo(`${operation} waits as long as Retry-After says, then succeeds`, async () => {
      const room = rooms();
      const file = await existing(room, 'f', 'content');
      room.server.fault(operation, { kind: 'status', status: 429, code, retryAfter: 4 }, { times: 1 });
      const begun = room.server.clock.now();
      await run(room.provider, room, file);
      expect(room.server.clock.now() - begun).toBeGreaterThanOrEqual(4000);
    });

    ableTo(`${operation} that comes too often without Retry-After is repeated with pauses`, async () => {
      const room = rooms();
      const file = await existing(room, 'f', 'content');
      room.server.fault(operation, { kind: 'status', status: 429, code }, { times: 3 });
      const begun = room.server.clock.now();
      await run(room.provider, room, file);
      // Chunks that travel together wait together: the first pause of one is all that is sure.
      expect(room.server.clock.now() - begun).toBeGreaterThanOrEqual(100);
    });
  }

  for (const [title, retryAfter] of [
    ['a Retry-After beyond the deadline', 3600],
    ['no end', undefined],
  ] as const) {
    test(`a rate limit with ${title} is rate-limited, not a wait for ever`, async () => {
      const room = rooms();
      room.server.fault('account', { kind: 'status', status: 429, code, retryAfter });
      const begun = room.server.clock.now();
      const { error } = await failure(room.provider.account());
      expect(error).toMatchObject({ code: 'rate-limited' });
      if (retryAfter !== undefined) {
        expect(error).toMatchObject({ data: { retryAfterMs: 3_600_000 } });
        expect(room.server.requests('account')).toHaveLength(1);
      }
      expect(room.server.clock.now() - begun).toBeLessThan(25_000);
    });
  }

  for (const told of [true, false])
    test(`a real rate limit ${told ? 'with' : 'without'} Retry-After slows work down, and all of it is done`, async () => {
      const room = rooms();
      room.server.rateLimit(10 * (costs.upload ?? 1), 2, told);
      // Enough uploads for three of the server's windows. With more, one that is refused repeatedly by chance could meet its deadline.
      const names = Array.from({ length: 30 }, (_, n) => `f${n}`);
      await Promise.all(
        names.map((name) => room.provider.upload({ parentId: room.folder.id, name }, source(Buffer.from(name)))),
      );
      expect(treeOf(room)).toEqual(Object.fromEntries(names.map((name) => [name, md5(Buffer.from(name))])));
    });

  test('a body that stands still is timeout within the deadline', async () => {
    const room = rooms();
    const file = await existing(room, 'f', noise(100_000));
    room.server.fault('download', { kind: 'slow', bytesPerSecond: 0.1 });
    const impatient = room.server.connect({ clock: undefined, deadlineMs: 300, stallMs: 100 });
    const { error, tookMs } = await failure(
      (async () => await collect((await impatient.read(file, { offset: 0, length: 50_000 })).body))(),
    );
    expect(error).toMatchObject({ name: 'ProviderError', code: 'timeout' });
    expect(tookMs).toBeLessThan(20_000);
  });

  test('a transfer that moves is not cut by the deadline', async () => {
    const room = rooms();
    const content = noise(400_000);
    const file = await existing(room, 'f', content);
    // Two seconds of body: longer than the deadline, in pieces that come sooner than the stall, also on a slow machine.
    room.server.fault('download', { kind: 'slow', bytesPerSecond: 200_000 });
    const impatient = room.server.connect({ clock: undefined, deadlineMs: 1500, stallMs: 1200 });
    const { body } = await impatient.read(file, { offset: 0, length: content.length });
    expect((await collect(body)).equals(content)).toBe(true);
  });

  test('a consumer that takes its time is not taken for a server that stalls', async () => {
    const room = rooms();
    const content = noise(3_000_000);
    const file = await existing(room, 'f', content);
    const impatient = room.server.connect({ clock: undefined, deadlineMs: 3000, stallMs: 1000 });
    const { body } = await impatient.read(file, { offset: 0, length: content.length });
    const parts: Buffer[] = [];
    for await (const part of body) {
      if (parts.length === 0) await new Promise((resolve) => setTimeout(resolve, 1500));
      parts.push(Buffer.from(part));
    }
    expect(Buffer.concat(parts).equals(content)).toBe(true);
  });
}
