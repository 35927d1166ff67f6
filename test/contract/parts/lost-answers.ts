/**
 * Each act meets each trouble once. Whether or not the server did the act before the trouble, in the end it is done exactly once,
 * and the answer describes what is there.
 */
import { expect } from 'vitest';
import type { Capabilities, RemoteEntry } from '../../../src/providers/provider.js';
import type { FaultAction } from '../../../src/sandbox/index.js';
import {
  type ContractSetup,
  existing,
  existingFolder,
  md5,
  noise,
  type Operation,
  type Room,
  type Rooms,
  source,
  testIf,
  treeOf,
} from '../bench.js';

const troubles: readonly (readonly [string, FaultAction])[] = [
  ['whose answer is lost', { kind: 'reset', when: 'after' }],
  ['whose connection breaks before it is done', { kind: 'reset', when: 'before' }],
  ['that is done but answered with an internal error', { kind: 'status', status: 500, performed: true }],
  ['that meets an internal error', { kind: 'status', status: 500 }],
  ['that is done but answered with a bad gateway', { kind: 'html', status: 502, performed: true }],
  ['that is done but answered with a sign-in page', { kind: 'html', performed: true }],
  ['that meets a sign-in page', { kind: 'html' }],
  ['that is done but answered with nothing', { kind: 'empty', status: 200, performed: true }],
  ['whose answer is cut off', { kind: 'truncate' }],
  ['whose answer is half of its JSON', { kind: 'broken-json' }],
  ['that comes too often', { kind: 'status', status: 429, retryAfter: 3 }],
];

interface Act {
  readonly title: string;
  readonly operation: Operation;
  readonly needs?: (capabilities: Capabilities) => boolean;
  /** Entries that another client made before. */
  readonly before?: (room: Room) => Promise<RemoteEntry>;
  readonly run: (room: Room, entry: RemoteEntry) => Promise<RemoteEntry | undefined>;
  /** Everything that is there afterwards, by relative path. */
  readonly after: Readonly<Record<string, string>>;
  /** The path of the object in the answer. */
  readonly at?: string;
}

const small = noise(2000, 21);
const large = noise(1_200_000, 22);
const old = Buffer.from('old');
const file = (room: Room): Promise<RemoteEntry> => existing(room, 'thing', old);
const folder = async (room: Room): Promise<RemoteEntry> => {
  await room.store.putFile(`${room.path}/thing/leaf`, old);
  return await existingFolder(room, 'thing');
};
const folderAt = (path: string): Record<string, string> => ({ [path]: 'folder', [`${path}/leaf`]: md5(old) });
const inTarget = async (room: Room): Promise<{ parentId: string; name: string }> => ({
  parentId: room.store.makeFolder(`${room.path}/target`).id,
  name: 'new',
});
const here = (room: Room, name: string): { parentId: string; name: string } => ({ parentId: room.folder.id, name });

const acts: readonly Act[] = [
  {
    title: 'a new folder',
    operation: 'create-folder',
    needs: ({ folders }) => folders === 'real',
    run: (room) => room.provider.createFolder(room.folder.id, 'new'),
    after: { new: 'folder' },
    at: 'new',
  },
  {
    title: 'a new file',
    operation: 'upload',
    run: (room) => room.provider.upload(here(room, 'new'), source(small)),
    after: { new: md5(small) },
    at: 'new',
  },
  {
    title: 'a new empty file',
    operation: 'upload',
    run: (room) => room.provider.upload(here(room, 'new'), source(Buffer.alloc(0))),
    after: { new: md5(Buffer.alloc(0)) },
    at: 'new',
  },
  {
    title: 'a new version',
    operation: 'replace',
    before: file,
    run: (room, replaces) =>
      room.provider.upload({ ...here(room, 'thing'), replaces: replaces as never }, source(small)),
    after: { thing: md5(small) },
    at: 'thing',
  },
  ...(['upload-start', 'upload-chunk', 'rename-file'] as const).map(
    (operation): Act => ({
      title: `a new large file (${operation})`,
      operation,
      needs: ({ resumableUpload }) => resumableUpload,
      run: (room) => room.provider.upload(here(room, 'new'), source(large)),
      after: { new: md5(large) },
      at: 'new',
    }),
  ),
  ...(['upload-start', 'rename-file', 'trash-file'] as const).map(
    (operation): Act => ({
      title: `a large new version (${operation})`,
      operation,
      needs: ({ resumableUpload }) => resumableUpload,
      before: file,
      run: (room, replaces) =>
        room.provider.upload({ ...here(room, 'thing'), replaces: replaces as never }, source(large)),
      after: { thing: md5(large) },
      at: 'thing',
    }),
  ),
  {
    title: 'a renamed file',
    operation: 'rename-file',
    needs: ({ moveFile }) => moveFile,
    before: file,
    run: (room, entry) => room.provider.move(entry, here(room, 'new')),
    after: { new: md5(old) },
    at: 'new',
  },
  {
    title: 'a renamed folder',
    operation: 'rename-folder',
    needs: ({ moveFolder }) => moveFolder,
    before: folder,
    run: (room, entry) => room.provider.move(entry, here(room, 'new')),
    after: folderAt('new'),
    at: 'new',
  },
  {
    title: 'a moved and renamed file',
    operation: 'move-file',
    needs: ({ moveFile }) => moveFile,
    before: file,
    run: async (room, entry) => await room.provider.move(entry, await inTarget(room)),
    after: { target: 'folder', 'target/new': md5(old) },
    at: 'target/new',
  },
  {
    title: 'a moved and renamed folder',
    operation: 'move-folder',
    needs: ({ moveFolder }) => moveFolder,
    before: folder,
    run: async (room, entry) => await room.provider.move(entry, await inTarget(room)),
    after: { target: 'folder', ...folderAt('target/new') },
    at: 'target/new',
  },
  {
    title: 'a copy',
    operation: 'copy-file',
    needs: ({ copyFile }) => copyFile,
    before: file,
    run: async (room, entry) => await room.provider.copy(entry as never, await inTarget(room)),
    after: { target: 'folder', 'target/new': md5(old), thing: md5(old) },
    at: 'target/new',
  },
  ...(['file', 'folder'] as const).flatMap((kind): Act[] => {
    const before = kind === 'file' ? file : folder;
    const whole = kind === 'file' ? { thing: md5(old) } : folderAt('thing');
    return [
      {
        title: `a ${kind} to the trash`,
        operation: `trash-${kind}`,
        needs: ({ trash }) => trash,
        before,
        run: async (room, entry) => {
          expect(await room.provider.trash(entry)).toMatchObject({ kind, id: entry.id, name: 'thing' });
          return undefined;
        },
        after: {},
      },
      {
        title: `a ${kind} back from the trash`,
        operation: `untrash-${kind}`,
        needs: ({ trash }) => trash,
        before: async (room) => {
          const entry = await before(room);
          room.store.remove(`${room.path}/thing`, { trash: true });
          return entry;
        },
        run: (room, entry) => room.provider.untrash(entry),
        after: whole,
        at: 'thing',
      },
      {
        title: `a ${kind} removed for ever`,
        operation: `remove-${kind}`,
        needs: ({ permanentDelete }) => permanentDelete,
        before,
        run: async (room, entry) => {
          await room.provider.remove(entry);
          return undefined;
        },
        after: {},
      },
    ];
  }),
];

export function lostAnswerContract(rooms: Rooms, { capabilities }: ContractSetup): void {
  for (const { title, operation, needs, before, run, after, at } of acts) {
    const able = testIf(needs?.(capabilities) ?? true, 'the provider cannot do this');
    for (const [trouble, action] of troubles)
      able(`${title} ${trouble} is there once`, async () => {
        const room = rooms();
        const entry = (await before?.(room)) ?? room.folder;
        room.server.fault(operation, action, { times: 1 });
        const result = await run(room, entry);
        expect(treeOf(room)).toEqual(after);
        expect(result === undefined ? undefined : result.id).toBe(
          at === undefined ? undefined : room.store.stat(`${room.path}/${at}`)?.id,
        );
        if (result?.kind === 'file') expect(result).toMatchObject({ name: at?.split('/').at(-1) });
      });
  }
}
