/**
 * Each request of an operation on files that a service refuses to hold where they belong fails, stalls or loses its answer. What an
 * operation promised is there, what it refused is as before or after it, and another machine shows the same.
 */
import { describe, expect, it } from 'vitest';
import type { FaultAction } from '../../src/sandbox/faults.js';
import { isComplete, leaveOut } from '../support/extent.js';
import { openWorld, protocols } from './subjects.js';
import { cleanUpWorlds, createServiceWorld, joinWorld, type World } from './world.js';

interface Operation {
  /** Makes what is there before, in the directory. */
  readonly before: string;
  readonly act: string;
}

/** The most requests of one of these operations, and one more. */
const REQUESTS = { ofEmpty: 3, ofLarge: 7 };

/** A fault, and whether it meets the requests behind the first one, too. */
interface Fault {
  readonly action: FaultAction;
  readonly isLasting: boolean;
}

const lost: FaultAction = { kind: 'reset', when: 'after' };
const faults: Readonly<Record<string, Fault>> = {
  'each request from one on is refused with 500': { action: { kind: 'status', status: 500 }, isLasting: true },
  'a request is performed, and its answer is lost': { action: lost, isLasting: false },
  'each request from one on is performed, and its answer is lost': { action: lost, isLasting: true },
  'a request stalls': { action: { kind: 'stall', ms: 600_000 }, isLasting: false },
};

const look = `find . -type f -printf '%P %s\\n' | sort; find . -type f | sort | xargs md5sum`;

/** What a directory holds. */
async function shown(world: World, at: string): Promise<string> {
  return await world.out(`cd '${at}' && { ${look}; }`);
}

/** The operation in a directory for each of its requests, which the fault meets. */
async function meet(
  world: World,
  requests: number,
  { before, act }: Operation,
  { action, isLasting }: Fault,
): Promise<void> {
  await world.mount('--deadline', '1s', '--dir-ttl', '1s');
  const names = Array.from({ length: requests }, (_, index) => `n${index}`);
  for (const name of [...names, 'right']) await world.out(`mkdir ${name}; cd ${name}; ${before}`);
  await world.untilWaiting(0, 0);
  const first = await shown(world, 'right');
  await world.out(`cd right; ${act}`);
  await world.untilWaiting(0, 0);
  const last = await shown(world, 'right');
  const promised = new Map<string, boolean>();
  for (const [index, name] of names.entries()) {
    await world.out(`ls ${name}`);
    world.sandbox.faults.add({ after: index, ...(isLasting ? {} : { times: 1 }), action });
    const { code } = await world.sh(`cd ${name}; ${act}`);
    promised.set(name, code === 0);
    world.sandbox.faults.clear();
  }
  // What failed for good is tried again.
  await world.cli(['uploads', 'retry', world.mnt]);
  await world.untilWaiting(0, 0);
  // What the time of a call did not suffice to undo is undone behind it.
  for (const [name, isPromised] of promised)
    await expect.poll(() => shown(world, name), { message: name }).toBeOneOf(isPromised ? [last] : [first, last]);
  // No object is left that no name shows, or that shows in the root under a name of ours.
  await expect
    .poll(async () => [
      await world.out(`find . -type f -size +0 ! -name '.syncmount-*' | wc -l`),
      world.storedMd5s().size,
    ])
    .toSatisfy(([files, objects]) => Number(files) === objects);
  const now = await shown(world, '.');
  await world.umount();
  const other = await joinWorld(world);
  await other.mount();
  expect(await shown(other, '.')).toBe(now);
}

const ofEmpty: Readonly<Record<string, Operation>> = {
  'making one': { before: 'echo keep > keep', act: ': > f' },
  'filling one': { before: ': > f; echo keep > keep', act: 'echo x > f' },
  'emptying a file': { before: 'echo old > f; echo keep > keep', act: ': > f' },
  'renaming one over a file': { before: 'echo old > f; : > g', act: 'mv g f' },
  'removing one': { before: ': > f; echo keep > keep', act: 'rm f' },
};
const large = (byte: string, size: number): string => `head -c ${size} /dev/zero | tr '\\0' ${byte} > f`;
const ofLarge: Readonly<Record<string, Operation>> = {
  'making one': { before: 'echo keep > keep', act: large('a', 3_000_000) },
  'replacing one': { before: large('a', 3_000_000), act: large('b', 2_500_000) },
  'making a small file large': { before: 'echo small > f', act: large('a', 3_000_000) },
  'renaming one': { before: large('a', 3_000_000), act: 'mv f g' },
  'renaming one over a file': { before: `echo old > g; ${large('a', 3_000_000)}`, act: 'mv f g' },
  'renaming a small file': { before: 'echo small > f', act: 'mv f g' },
  'removing one': { before: `echo keep > keep; ${large('a', 3_000_000)}`, act: 'rm f' },
};

/** Each operation with each fault; in the quick run with one of them, each of which has its turn. */
function cells(operations: Readonly<Record<string, Operation>>): (readonly [string, Operation, Fault])[] {
  const kinds = Object.entries(faults);
  const all = Object.entries(operations).flatMap(([name, operation], row) =>
    kinds.map(([how, fault], column) => ({
      cell: [`${name}: ${how}`, operation, fault] as const,
      hasTurn: row % kinds.length === column,
    })),
  );
  const chosen = all.filter(({ hasTurn }) => hasTurn || isComplete);
  leaveOut(all.length - chosen.length);
  return chosen.map(({ cell }) => cell);
}

describe('empty files that a service refuses', () => {
  cleanUpWorlds();
  // All services hold them through the same code: each cell is for one of them.
  let round = 0;
  for (const [name, operation, fault] of cells(ofEmpty)) {
    const subject = protocols[round++ % protocols.length];
    if (subject === undefined) throw new Error('there are protocols');
    it(`${subject.provider}: ${name}`, async () => {
      const world = await openWorld(subject, { readings: { emptyContent: 'refused' } });
      await meet(world, REQUESTS.ofEmpty, operation, fault);
    });
  }
});

describe('large files that 5sync stores in the root only', () => {
  cleanUpWorlds();
  const options = {
    provider: '5sync',
    requestsPerHour: 60_000,
    simpleUploadLimit: 2_000_000,
    readings: { multipartPath: 'root', tooLarge: '413' },
  } as const;
  for (const [name, operation, fault] of cells(ofLarge))
    it(name, async () => await meet(await createServiceWorld(options), REQUESTS.ofLarge, operation, fault));
});
