/**
 * The fault matrix as data: the faults of a request, and the results that a program then sees of the operation that needed it.
 * This file knows no service, path or mount.
 */
import type { FaultAction } from '../../../src/sandbox/index.js';
import type { Tree } from './operations.js';

/** The purpose of a request. It decides which faults are possible, and their effects. */
export type RequestKind =
  /** Reads JSON; changes nothing. */
  | 'query'
  /** Downloads content. */
  | 'download'
  /** Uploads content. */
  | 'upload'
  /** Changes something at the server. */
  | 'change';

/** The request that a fault hits. */
export interface Target {
  readonly kind: RequestKind;
  /** Size of the body that moves, bytes. */
  readonly bytes: number;
  /** The request has no body, so a break in the middle hits its answer. */
  readonly bodyless?: boolean;
  /** The request is not sent: the operation is answered from known state. */
  readonly isUnasked?: boolean;
  /** The kernel reads it twice: after an error of its read-ahead, it still reads again for the waiting program. */
  readonly isAskedTwice?: boolean;
  /** Its result cannot be looked up afterwards: it is done only when its answer is here. */
  readonly needsAnswer?: boolean;
  /** The content is at the service before this request, whatever the program is told. */
  readonly isDone?: boolean;
  /** The operation is done before this request, which only tidies up. After a fault the mount tidies up later. */
  readonly isAfterwards?: boolean;
}

/** `once`: the first such request. `always`: every such request, until the operation is over. */
export type Strength = 'once' | 'always';
export const strengths: readonly Strength[] = ['once', 'always'];

/**
 * - `refusal`   a definite answer: no second try, the program hears of it at once
 * - `passing`   the server did nothing, and may do it when asked again
 * - `performed` the server did it, and its answer is lost or spoilt: for what changes nothing the same as `passing`
 * - `harmless`  odd, and all that is needed comes
 */
export type Nature = 'refusal' | 'passing' | 'performed' | 'harmless';

export interface Fault {
  readonly name: string;
  readonly nature: Nature;
  /** The errnos for a program if the fault does not pass. Several if the errno depends on timing. */
  readonly errnos: readonly string[];
  /** The kinds of requests that it can hit; default: all. */
  readonly only?: readonly RequestKind[];
  /** It concerns the account: after it, all requests of the mount wait. */
  readonly isOfAccount?: boolean;
  /** `elsewhere` is another host, which must not see our credentials. */
  action(target: Target, elsewhere: string): FaultAction;
}

/** A fault before a service words it: `code` is the service's own error code. */
interface Unworded extends Omit<Fault, 'action'> {
  action(target: Target, elsewhere: string, code: string | undefined): FaultAction;
}

/** A service's differences from the table for one fault. */
export interface Wording {
  /** The code that its document has for it; else what it says of such a status. */
  readonly code?: string;
  readonly nature?: Nature;
  readonly errnos?: readonly string[];
  readonly only?: readonly RequestKind[];
}
/** The wordings by the names of faults. */
export type Wordings = Readonly<Record<string, Wording>>;

/** Longer than any deadline here; a stall ends with the fault plan. */
const FOR_EVER_MS = 600_000;
/** A body that trickles takes this long: longer than a try may stand still, ms. */
export const TRICKLE_MS = 2000;

const eio = ['EIO'];
/** After a broken connection, the last try may also be one that had no time left for its answer. */
const offline = ['ENETUNREACH', 'EIO'];

/** An error answer; the name begins with its status. */
function status(name: string, nature: Nature, errnos: readonly string[], more: { retryAfter?: number } = {}): Unworded {
  const isOfAccount = name.startsWith('429');
  const action: Unworded['action'] = (_target, _elsewhere, code) => ({
    kind: 'status',
    status: Number.parseInt(name, 10),
    ...(code === undefined ? {} : { code }),
    ...more,
  });
  return { name, nature, errnos, isOfAccount, action };
}

function always(action: FaultAction): () => FaultAction {
  return () => action;
}

const faults: readonly Unworded[] = [
  status('400', 'refusal', eio),
  status('401', 'refusal', ['EACCES']),
  status('403 quota', 'refusal', ['ENOSPC']),
  status('403 permission', 'refusal', ['EACCES']),
  status('404', 'refusal', ['ENOENT']),
  status('409', 'refusal', ['EEXIST']),
  status('429', 'passing', eio),
  // EBUSY if the time of the next try is known, and is after the deadline.
  status('429 with Retry-After', 'passing', ['EBUSY', 'EIO'], { retryAfter: 1 }),
  status('500', 'passing', eio),
  { name: '503', nature: 'passing', errnos: eio, action: always({ kind: 'html', status: 503 }) },
  {
    name: 'reset before the body',
    nature: 'passing',
    errnos: offline,
    action: always({ kind: 'reset', when: 'before' }),
  },
  { name: 'reset in the body', nature: 'passing', errnos: offline, action: always({ kind: 'reset', when: 'middle' }) },
  { name: 'answer lost', nature: 'performed', errnos: offline, action: always({ kind: 'reset', when: 'after' }) },
  {
    name: 'answer lost behind a 502',
    nature: 'performed',
    errnos: eio,
    action: always({ kind: 'html', status: 502, performed: true }),
  },
  { name: 'stall', nature: 'passing', errnos: eio, action: always({ kind: 'stall', ms: FOR_EVER_MS }) },
  {
    name: 'stall before the answer',
    nature: 'performed',
    errnos: eio,
    action: always({ kind: 'stall', ms: FOR_EVER_MS, when: 'after' }),
  },
  { name: 'truncated body', nature: 'performed', errnos: offline, action: always({ kind: 'truncate' }) },
  {
    name: 'truncated body of matching length',
    nature: 'performed',
    errnos: eio,
    action: always({ kind: 'truncate', silent: true }),
  },
  {
    name: 'corrupt byte',
    nature: 'passing',
    errnos: eio,
    // Names and numbers in JSON carry no checksum: only content can be told to be damaged.
    only: ['download', 'upload'],
    action: ({ kind }) => ({ kind: 'corrupt', where: kind === 'upload' ? 'request' : 'answer' }),
  },
  {
    name: 'wrong range',
    nature: 'passing',
    errnos: eio,
    only: ['download'],
    action: always({ kind: 'wrong-content-range' }),
  },
  {
    name: 'ignored range',
    nature: 'harmless',
    errnos: [],
    only: ['download'],
    action: always({ kind: 'ignore-range' }),
  },
  { name: 'HTML with 200', nature: 'passing', errnos: eio, action: always({ kind: 'html' }) },
  {
    name: 'HTML with 200 for what was done',
    nature: 'performed',
    errnos: eio,
    only: ['change', 'upload'],
    action: always({ kind: 'html', performed: true }),
  },
  {
    name: 'broken JSON',
    nature: 'performed',
    errnos: eio,
    only: ['query', 'change', 'upload'],
    action: always({ kind: 'broken-json' }),
  },
  { name: 'empty 200', nature: 'passing', errnos: eio, action: always({ kind: 'empty' }) },
  {
    name: 'empty 200 for what was done',
    nature: 'performed',
    errnos: eio,
    only: ['change', 'upload'],
    action: always({ kind: 'empty', performed: true }),
  },
  {
    name: 'redirect to another host',
    nature: 'passing',
    errnos: eio,
    action: (_, elsewhere) => ({ kind: 'redirect', to: `${elsewhere}/stolen` }),
  },
  {
    name: 'slow byte by byte',
    nature: 'harmless',
    errnos: [],
    action: ({ bytes }) => ({
      kind: 'slow',
      bytesPerSecond: (bytes * 1000) / TRICKLE_MS,
      ...(bytes <= 4000 ? { pieceBytes: 1 } : {}),
    }),
  },
];

/** The faults as a service words them. */
export function faultsOf(wordings: Wordings): Fault[] {
  return faults.map((fault) => {
    const { code, ...more } = wordings[fault.name] ?? {};
    return { ...fault, ...more, action: (target, elsewhere) => fault.action(target, elsewhere, code) };
  });
}

/** The result that a program must see: success if `errnos` is empty, else one of them. */
export interface Expectation {
  readonly errnos: readonly string[];
  /** The server says that an object is gone, but keeps it. The mount believes the server. */
  readonly isLie?: boolean;
  /** The mount finishes or undoes the operation only when the service takes requests again. Until then names may be half changed. */
  readonly isSettledLater?: boolean;
  /** Entries that the server claims to have removed, but still has. */
  readonly left?: Tree;
  /** The server's version under the name is lost to damage in transit. The mount keeps the content that it meant to store. */
  readonly isDamaged?: boolean;
  /** The program may get damaged bytes, because a part has no checksum. A reader of the whole file gets an error, then good bytes. */
  readonly isUnnoticed?: boolean;
}

/** An exception from the rule: an operation's other result for a fault, with the reason. */
export interface Exception extends Expectation {
  readonly fault: string;
  readonly strength?: Strength;
  readonly because: string;
}

/** The expected result, or null if this fault cannot hit such a request. */
export function expectationOf(
  target: Target,
  fault: Fault,
  strength: Strength,
  exceptions: readonly Exception[] = [],
): Expectation | null {
  if (fault.only !== undefined && !fault.only.includes(target.kind)) return null;
  const exception = exceptions.find(
    (one) => one.fault === fault.name && (one.strength === undefined || one.strength === strength),
  );
  if (exception !== undefined) return exception;
  return { errnos: isMet(target, fault, strength) ? [] : fault.errnos };
}

/** True if the operation succeeds in spite of the fault. */
function isMet(
  { kind, bodyless, isUnasked, isAskedTwice, isAfterwards, needsAnswer }: Target,
  { name, nature }: Fault,
  strength: Strength,
): boolean {
  if (nature === 'harmless' || isUnasked === true || isAfterwards === true) return true;
  if (nature === 'refusal') return strength === 'once' && isAskedTwice === true;
  if (strength === 'once') return true;
  const changes = (kind === 'change' || kind === 'upload') && needsAnswer !== true;
  return changes && (nature === 'performed' || (bodyless === true && name === 'reset in the body'));
}
