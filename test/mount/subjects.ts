/**
 * What the semantics of a mount are tested on: every service over the kernel binding, and one over the native binding
 * too. What a service or a binding cannot do is a skip that says why in its name.
 */
import { afterAll, afterEach, beforeEach, describe, it } from 'vitest';
import {
  type AnySandboxOptions,
  type FaultRule,
  type LogEntry,
  type ProviderName,
  providerNames,
} from '../../src/sandbox/index.js';
import { isComplete, leaveOut } from '../support/extent.js';
import { type BindingName, createServiceWorld, keepWorld, type World } from './world.js';

export interface Subject {
  readonly provider: ProviderName;
  readonly binding: BindingName;
}

/** For what the way to the kernel has no part in. */
export const overKernel: readonly Subject[] = providerNames.map((provider) => ({ provider, binding: 'kernel' }));

/**
 * One for each protocol, for tests that take long and of which no part is 4Sync's own: it speaks the protocol of 4shared, through the
 * same code. What is its own (hosts, login, readings, refusals) is in the tests that have all services.
 */
export const protocols: readonly Subject[] = overKernel.filter(({ provider }) => provider !== '4sync');

/**
 * For `describe.each` of tests that every service has for itself. 4Sync does what 4shared does in them, and has them in the complete
 * matrix only. `tests`: how many each service has.
 */
export function eachService(tests: number): readonly Subject[] {
  if (isComplete) return overKernel;
  leaveOut((overKernel.length - protocols.length) * tests);
  return protocols;
}

/** For `describe.each`: titles have `$provider` and `$binding`. */
export const subjects: readonly Subject[] = [...overKernel, { provider: '4shared', binding: 'native' }];

/** What tests have to know of a service. */
export interface Traits {
  /** A directory can be renamed. */
  readonly movesFolders: boolean;
  /** There are directories without a file in them at the service. */
  readonly keepsFolders: boolean;
  /** Refusals of content: status, the service's code, and what close(2) answers. The first one is of an account that is full. */
  readonly refusals: readonly (readonly [status: number, code: string | undefined, errno: string])[];
  /** The reading of its sandbox under which a `Range` header is not heeded. */
  readonly ignoringRanges: Readonly<Record<string, string>>;
  /** The route that stores a small file under a new name. */
  readonly storing: string;
  /** Every request that brings content. */
  readonly bringing: Pick<FaultRule, 'host' | 'route'>;
}

const fourShared: Traits = {
  movesFolders: true,
  keepsFolders: true,
  refusals: [
    [403, '403.0100', 'ENOSPC'],
    [403, '403.0101', 'EFBIG'],
    [403, '403.0102', 'EDQUOT'],
    [403, '403.0302', 'EACCES'],
    [403, '403.0303', 'EACCES'],
    [401, '401.0301', 'EACCES'],
    [500, '500.0600', 'EIO'],
  ],
  ignoringRanges: { rangeAnswer: 'ignored' },
  storing: 'POST /files',
  bringing: { host: 'upload' },
};

export const traits: Readonly<Record<ProviderName, Traits>> = {
  '4shared': fourShared,
  '4sync': fourShared,
  '5sync': {
    movesFolders: false,
    keepsFolders: false,
    refusals: [
      [507, undefined, 'ENOSPC'],
      [403, 'forbidden', 'EACCES'],
      [413, undefined, 'EFBIG'],
      [401, 'unauthorized', 'EACCES'],
      [500, 'internal_error', 'EIO'],
    ],
    ignoringRanges: { range: 'ignored' },
    storing: 'PUT /files',
    bringing: { route: '^PUT /files$' },
  },
  acronis: {
    movesFolders: true,
    keepsFolders: true,
    refusals: [
      [507, undefined, 'ENOSPC'],
      [403, '3', 'EACCES'],
      [413, undefined, 'EFBIG'],
      [401, undefined, 'EACCES'],
      [500, undefined, 'EIO'],
    ],
    ignoringRanges: { range: 'ignored' },
    storing: 'POST /sync_and_share_nodes/{node_uuid}/upload',
    bringing: { route: '/upload$' },
  },
};

/** Another client's changes show on 5sync at the next look at its feed, which comes the sooner the more requests there are. */
const manyRequests = { requestsPerHour: 60_000 };

export function openWorld({ provider, binding }: Subject, options: object = {}): Promise<World> {
  const given = { provider, ...(provider === '5sync' ? manyRequests : {}), ...options };
  return createServiceWorld(given as AnySandboxOptions, false, binding);
}

/**
 * One mount for all tests of a `describe`, since to mount takes longer than most of them: each works in a directory of its own there.
 * A test may leave it unmounted, or mounted with other flags. After one that failed the next has another world.
 */
export function shareWorld(subject: Subject, flags: readonly string[], use: (world: World) => void): void {
  let world: World | undefined;
  let count = 0;
  const end = async (): Promise<void> => {
    await world?.end();
    world = undefined;
  };
  beforeEach(async () => {
    world ??= keepWorld(await openWorld(subject));
    if (world.isMounted && `${world.flags}` !== `${flags}`) await world.umount();
    if (!world.isMounted) await world.mount(...flags);
    await world.enter(`test-${++count}`);
    use(world);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await end();
  });
  afterAll(end);
}

type Body = () => Promise<void>;
/** As `it` of vitest has them. */
type Test =
  | [test: Body, timeout?: number]
  | [options: { readonly tags?: string[]; readonly timeout?: number }, test: Body];
type Register = (name: string, ...test: Test) => void;

/** Registers tests that all subjects share: in the quick run each of them is for the subject whose turn it is. */
export interface Turns {
  readonly it: Register;
  /** `it`, or a skip whose name says why. Where a subject cannot, it has no turn. */
  unless(isSkipped: (subject: Subject) => boolean, reason: string): Register;
}

/** Of the tests that 4Sync shares with 4shared it runs one in so many in the complete matrix, so that each file with a few has one. */
const FOURSYNC_SHARE = 4;

/**
 * What becomes of the `round`-th test of a file for this subject. In the complete matrix those run it that can, and the others
 * skip it; in the quick run one of those that can, and a skip is told only where nobody can. 4Sync speaks the protocol of 4shared,
 * through the same code: where 4shared runs a test, 4Sync takes its share of the complete matrix, and has no turn in the quick run.
 */
export function partOf(
  subject: Subject,
  among: readonly Subject[],
  isSkipped: (subject: Subject) => boolean,
  round: number,
  complete: boolean,
): 'run' | 'skip' | 'leave out' {
  const able = among.filter((one) => !isSkipped(one));
  const isSpokenFor = ({ provider }: Subject): boolean =>
    provider === '4sync' && able.some((one) => one.provider === '4shared');
  if (complete) {
    if (isSkipped(subject)) return 'skip';
    return isSpokenFor(subject) && round % FOURSYNC_SHARE !== 0 ? 'leave out' : 'run';
  }
  if (able.length === 0) return subject === among[0] ? 'skip' : 'leave out';
  const distinct = able.filter(({ provider }) => provider !== '4sync');
  const taking = distinct.length === 0 ? able : distinct;
  return taking[round % taking.length] === subject ? 'run' : 'leave out';
}

/**
 * `describe.each` for tests that say the same of every subject: rule 3 of `test/support/extent.ts`. In the body, `turns.it` is for
 * such tests, and vitest's own `it` for those that are about one service, and are always run.
 * @throws Error where the body registers other tests for one subject than for another: a turn would be lost
 */
export function describeEach(
  among: readonly Subject[],
  title: string,
  body: (subject: Subject, turns: Turns) => void,
): void {
  // Files with few tests begin with different subjects.
  const first = [...title].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  /** By subject. Those of a nested `describe` come only when the body has ended. */
  const registered = new Map<Subject, string[]>();

  describe.each(among)(title, (subject) => {
    const names: string[] = [];
    registered.set(subject, names);
    const [expected = names] = registered.values();
    const turns: Turns = {
      it: (name, ...test) => turns.unless(() => false, '')(name, ...test),
      unless:
        (isSkipped, reason) =>
        (name, ...test) => {
          if (expected !== names && expected[names.length] !== name)
            throw new Error(`${title}: ${subject.provider} has other tests than ${among[0]?.provider}: ${name}`);
          const index = names.push(name) - 1;
          const inMatrix = partOf(subject, among, isSkipped, index, true);
          const part = isComplete ? inMatrix : partOf(subject, among, isSkipped, first + index, false);
          if (part === 'run') it(name, ...(test as [Body]));
          else if (part === 'skip') it.skip(`${name} (skipped: ${reason})`, ...(test as [Body]));
          else if (inMatrix !== 'leave out') leaveOut(1);
        },
    };
    body(subject, turns);
  });
}

/** Requests for content, on whichever service. */
export function isDownload({ route }: LogEntry): boolean {
  return /^GET .*\bdownload$/.test(route);
}
