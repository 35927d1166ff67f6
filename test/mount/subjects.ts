/**
 * The subjects of the tests of a mount's semantics: every service over the kernel binding, and one service over the native binding
 * too. If a service or a binding cannot do something, the test is a skip with the reason in its name.
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

/** For tests that do not depend on the binding. */
export const overKernel: readonly Subject[] = providerNames.map((provider) => ({ provider, binding: 'kernel' }));

/**
 * One subject for each protocol, for long tests without a part of 4Sync's own: 4Sync speaks the protocol of 4shared, through the same
 * code. What is its own (hosts, login, readings, refusals) is in the tests that run on all services.
 */
export const protocols: readonly Subject[] = overKernel.filter(({ provider }) => provider !== '4sync');

/**
 * For `describe.each` of tests that run on every service. 4Sync behaves like 4shared in them, and runs them in the complete matrix
 * only. `tests`: the number of tests for each service.
 */
export function eachService(tests: number): readonly Subject[] {
  if (isComplete) return overKernel;
  leaveOut((overKernel.length - protocols.length) * tests);
  return protocols;
}

/** For `describe.each`. Titles can contain `$provider` and `$binding`. */
export const subjects: readonly Subject[] = [...overKernel, { provider: '4shared', binding: 'native' }];

/** The facts that tests need about a service. */
export interface Traits {
  /** A directory can be renamed. */
  readonly movesFolders: boolean;
  /** The service keeps a directory that has no file in it. */
  readonly keepsFolders: boolean;
  /** Refusals of content: status, the service's code, and the errno of close(2). The first one is of an account that is full. */
  readonly refusals: readonly (readonly [status: number, code: string | undefined, errno: string])[];
  /** The reading with which the sandbox ignores a `Range` header. */
  readonly ignoringRanges: Readonly<Record<string, string>>;
  /** The route that stores a small file under a new name. */
  readonly storing: string;
  /** Matches every request that uploads content. */
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

/** On 5sync another client's changes show at the next poll of the feed. The more requests an hour has, the more often the mount polls. */
const manyRequests = { requestsPerHour: 60_000 };

export function openWorld({ provider, binding }: Subject, options: object = {}): Promise<World> {
  const given = { provider, ...(provider === '5sync' ? manyRequests : {}), ...options };
  return createServiceWorld(given as AnySandboxOptions, false, binding);
}

/**
 * One mount for all tests of a `describe`, because mounting takes longer than most of them. Each test works in its own directory.
 * A test may leave the world unmounted, or mounted with other flags. After a failed test, the next test gets a new world.
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
/** The arguments of vitest's `it` after the name. */
type Test =
  | [test: Body, timeout?: number]
  | [options: { readonly tags?: string[]; readonly timeout?: number }, test: Body];
type Register = (name: string, ...test: Test) => void;

/** Registers tests that all subjects share. In the quick run, each test runs on one subject, and the subjects take turns. */
export interface Turns {
  readonly it: Register;
  /** `it`, or a skip with the reason in its name. In the quick run, a subject that is skipped gets no turn. */
  unless(isSkipped: (subject: Subject) => boolean, reason: string): Register;
}

/** In the complete matrix 4Sync runs every fourth of the tests that it shares with 4shared, so that each file with a few runs one. */
const FOURSYNC_SHARE = 4;

/**
 * Decides whether this subject runs the `round`-th test of a file. In the complete matrix, each able subject runs it, and the others
 * skip it. In the quick run, one able subject runs it, and it is a skip only if no subject is able. 4Sync speaks the protocol of
 * 4shared, through the same code: if 4shared can run a test, 4Sync runs its share in the complete matrix, and none in the quick run.
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
 * `describe.each` for tests that say the same of every subject: rule 3 of `test/support/extent.ts`. In the body, `turns.it` registers
 * such tests. vitest's own `it` registers tests of one service, which always run.
 * @throws Error if the body registers different tests for two subjects: a turn would be lost
 */
export function describeEach(
  among: readonly Subject[],
  title: string,
  body: (subject: Subject, turns: Turns) => void,
): void {
  // Files with few tests begin with different subjects.
  const first = [...title].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
  /** The names by subject. vitest runs a nested `describe` only after the body, so its names come later. */
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

/** True for requests for content, on every service. */
export function isDownload({ route }: LogEntry): boolean {
  return /^GET .*\bdownload$/.test(route);
}
