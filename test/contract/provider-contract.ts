/**
 * The provider contract as tests: they check the promises of `src/providers/provider.ts` from outside, over real HTTP. The
 * capabilities drive them. If a provider cannot do something, the test is a skip with the reason in its name.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { type ContractServer, type ContractSetup, folderOf, type Room } from './bench.js';
import { abortContract } from './parts/abort.js';
import { accountContract } from './parts/account.js';
import { chunkContract } from './parts/chunks.js';
import { deadlineContract } from './parts/deadlines.js';
import { listContract } from './parts/list.js';
import { lostAnswerContract } from './parts/lost-answers.js';
import { nameContract } from './parts/names.js';
import { namespaceContract } from './parts/namespace.js';
import { readContract } from './parts/read.js';
import { resumeContract } from './parts/resume.js';
import { trashContract } from './parts/trash.js';
import { uploadContract } from './parts/upload.js';

type Part = (rooms: () => Room, setup: ContractSetup) => void;

const parts: readonly (readonly [string, Part])[] = [
  ['account', accountContract],
  ['list and stat', listContract],
  ['read', readContract],
  ['createFolder, move and copy', namespaceContract],
  ['trash and remove', trashContract],
  ['names', nameContract],
  ['upload', uploadContract],
  ['upload in chunks', chunkContract],
  ['upload after an interruption', resumeContract],
  ['lost answers', lostAnswerContract],
  ['signals', abortContract],
  ['deadlines', deadlineContract],
];

export function describeProviderContract(name: string, setup: ContractSetup): void {
  describe(name, () => {
    beforeEach(({ task, skip }) => {
      const unfit = setup.skips?.find(({ test }) => test.test(`${task.suite?.name} > ${task.name}`));
      if (unfit) skip(unfit.reason);
    });
    const rooms = useRooms(setup);
    for (const [title, part] of parts) describe(title, () => part(rooms, setup));
  });
}

/** One server for all tests of a `describe`. Each test gets a new folder and a new client. */
export function useRooms(setup: Pick<ContractSetup, 'open'>): () => Room {
  let server: ContractServer;
  let room: Room;
  let number = 0;
  beforeAll(async () => {
    server = await setup.open();
  });
  afterAll(() => server.close());
  beforeEach(() => {
    const path = `/room-${++number}`;
    const folder = folderOf(server.store.makeFolder(path), { parentId: server.store.rootId });
    room = { server, store: server.store, provider: server.connect(), folder, path };
  });
  afterEach(async () => {
    const violations = server.violations();
    await server.reset();
    expect(violations).toEqual([]);
  });
  return () => room;
}
