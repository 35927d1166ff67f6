// @module-tag long
/**
 * A service refuses to hold some files in their place. Each request of an operation on such files fails, stalls or loses its answer.
 * The result of a successful operation is there, a refused one is done or not done, and another machine shows the same.
 */
import { describe, expect, it } from 'vitest';
import type { FaultAction } from '../../../src/sandbox/faults.js';
import { isChosen } from '../../support/extent.js';
import { openWorld, protocols } from '../subjects.js';
import { cleanUpWorlds, createServiceWorld, joinWorld, type World } from '../world.js';

interface Operation {
  /** Makes what is there before, in the directory. */
  readonly before: string;
  readonly act: string;
  /** The fault meets so many of its requests, one after the other. */
  readonly requests: number;
}

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
  'a request is performed long after its caller has gone': {
    action: { kind: 'stall', ms: 5000, performed: true },
    isLasting: false,
  },
  'a request stalls': { action: { kind: 'stall', ms: 600_000 }, isLasting: false },
};

const look = `find . -type f -printf '%P %s\\n' | sort; find . -type f | sort | xargs -d '\\n' md5sum`;

/** What a directory holds. */
async function shown(world: World, at: string): Promise<string> {
  return await world.out(`cd '${at}' && { ${look}; }`);
}

/** The operation in a directory for each of its requests, which the fault meets. Answers whether it was promised, by directory. */
async function meet(
  world: World,
  prefix: string,
  { before, act, requests }: Operation,
  { action, isLasting }: Fault,
): Promise<Map<string, boolean>> {
  const promised = new Map<string, boolean>();
  const names = Array.from({ length: requests }, (_, index) => `${prefix} ${index}`);
  for (const name of names) await world.out(`mkdir '${name}'; cd '${name}'; ${before}`);
  await world.untilWaiting(0, 0);
  for (const [index, name] of names.entries()) {
    await world.out(`ls '${name}'`);
    world.sandbox.faults.add({ after: index, ...(isLasting ? {} : { times: 1 }), action });
    const { code } = await world.sh(`cd '${name}'; ${act}`);
    promised.set(name, code === 0);
    world.sandbox.faults.clear();
  }
  return promised;
}

async function meetAll(world: World, operation: Operation, kinds: readonly [string, Fault][]): Promise<void> {
  await world.mount('--deadline', '3s', '--dir-ttl', '1s');
  await world.out(`mkdir right; cd right; ${operation.before}`);
  await world.untilWaiting(0, 0);
  const first = await shown(world, 'right');
  await world.out(`cd right; ${operation.act}`);
  await world.untilWaiting(0, 0);
  const last = await shown(world, 'right');
  const promised = new Map<string, boolean>();
  for (const [kind, fault] of kinds)
    for (const [name, isPromised] of await meet(world, kind, operation, fault)) promised.set(name, isPromised);
  // What failed for good is tried again.
  await world.cli(['uploads', 'retry', world.mnt]);
  await world.untilWaiting(0, 0);
  // What the time of a call did not suffice to undo is undone behind it.
  for (const [name, isPromised] of promised)
    await expect
      .poll(() => shown(world, name), { message: name, interval: 500 })
      .toBeOneOf(isPromised ? [last] : [first, last]);
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

const large = (byte: string, size: number): string => `head -c ${size} /dev/zero | tr '\\0' ${byte} > f`;

/** In the complete matrix most of the time of a test is the deadlines of 35 calls. */
const LIMIT_MS = 900_000;

/** Each is met at its first request, and so on until it has all its answers or one more. */
const ofEmpty: Readonly<Record<string, Operation>> = {
  'making one': { before: 'echo keep > keep', act: ': > f', requests: 3 },
  'filling one': { before: ': > f; echo keep > keep', act: 'echo x > f', requests: 3 },
  'emptying a file': { before: 'echo old > f; echo keep > keep', act: ': > f', requests: 3 },
  'renaming one over a file': { before: 'echo old > f; : > g', act: 'mv g f', requests: 3 },
  'removing one': { before: ': > f; echo keep > keep', act: 'rm f', requests: 2 },
};
const ofLarge: Readonly<Record<string, Operation>> = {
  'making one': { before: 'echo keep > keep', act: large('a', 3_000_000), requests: 4 },
  'replacing one': { before: large('a', 3_000_000), act: large('b', 2_500_000), requests: 4 },
  'making a small file large': { before: 'echo small > f', act: large('a', 3_000_000), requests: 4 },
  'renaming one': { before: large('a', 3_000_000), act: 'mv f g', requests: 7 },
  'renaming one over a file': { before: `echo old > g; ${large('a', 3_000_000)}`, act: 'mv f g', requests: 7 },
  'renaming a small file': { before: 'echo small > f', act: 'mv f g', requests: 3 },
  'removing one': { before: `echo keep > keep; ${large('a', 3_000_000)}`, act: 'rm f', requests: 2 },
};

/** The kinds of faults that an operation meets; in the quick run one of them, each of which has its turn. */
function kindsFor(row: number): [string, Fault][] {
  const kinds = Object.entries(faults);
  return kinds.filter((_, column) => isChosen(row, column, kinds.length));
}

describe('empty files that a service refuses, where requests fail', () => {
  cleanUpWorlds();
  // All services hold them through the same code: each operation is for one of them.
  for (const [row, [name, operation]] of Object.entries(ofEmpty).entries()) {
    const subject = protocols[row % protocols.length];
    if (subject === undefined) throw new Error('there are protocols');
    it(
      `${subject.provider}: ${name}`,
      async () => {
        const world = await openWorld(subject, { readings: { emptyContent: 'refused' } });
        await meetAll(world, operation, kindsFor(row));
      },
      LIMIT_MS,
    );
  }
});

describe('large files that 5sync stores in the root only, where requests fail', () => {
  cleanUpWorlds();
  const options = {
    provider: '5sync',
    requestsPerHour: 60_000,
    simpleUploadLimit: 2_000_000,
    readings: { multipartPath: 'root', tooLarge: '413' },
  } as const;
  for (const [row, [name, operation]] of Object.entries(ofLarge).entries())
    it(name, async () => await meetAll(await createServiceWorld(options), operation, kindsFor(row)), LIMIT_MS);
});
