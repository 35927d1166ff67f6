/** A cell of the matrix: a fault, the request of an operation that it hits, and the state that must follow. */
import { createHash } from 'node:crypto';
import { noise } from '../../contract/bench.js';
import { type ContentName, derived, operation, sizes, type Tree } from './operations.js';
import type { Group, Place, Service } from './place.js';
import { type Expectation, expectationOf, type Fault, faultsOf, type Strength, strengths } from './table.js';

export interface Cell {
  readonly place: Place;
  readonly fault: Fault;
  readonly strength: Strength;
  readonly expectation: Expectation;
}

/** The result of a cell. It equals `wantedOf(cell)` if all is well. */
export interface Verdict {
  readonly answer: string;
  readonly isInTime: boolean;
  readonly isFaultMet: boolean;
  readonly returned: unknown;
  /** The state between the fault and the second try. */
  readonly server: Readonly<Record<string, string>>;
  readonly mount: Readonly<Record<string, string>>;
  /** The errno in `status` of a content that was not stored. */
  readonly listed: string | null;
  /** The state in the end. */
  readonly secondAnswer: string | null;
  readonly serverAfter: Readonly<Record<string, string>>;
  readonly mountAfter: Readonly<Record<string, string>>;
}

export interface Ran {
  readonly cell: Cell;
  readonly wanted: Verdict;
  readonly verdict: Verdict;
  readonly ms: number;
}

export function nameOf({ place, fault, strength }: Cell): string {
  const request = place.request === '' ? '' : ` (${place.request})`;
  return `${place.operation}${request}: ${fault.name}, ${strength}`;
}

/**
 * Faults one after the other, each in both strengths, with the cells of a group that it can befall: at the same time, but for
 * what one would do to the others.
 */
export function batchesOf(
  { wordings }: Pick<Service, 'wordings'>,
  group: Group,
  filter: (cell: Cell) => boolean = () => true,
): Cell[][] {
  return faultsOf(wordings)
    .flatMap((fault) =>
      strengths.map((strength) =>
        group.flatMap((place): Cell[] => {
          const expectation = expectationOf(place, fault, strength, place.exceptions);
          return expectation === null ? [] : [{ place, fault, strength, expectation }];
        }),
      ),
    )
    .map((cells) => cells.filter(filter))
    .flatMap((cells) => (cells[0]?.fault.isOfAccount ? cells.map((cell) => [cell]) : [cells]))
    .filter((cells) => cells.length > 0);
}

const md5 = (data: Uint8Array): string => createHash('md5').update(data).digest('hex');

class Contents {
  readonly #data = new Map<string, Buffer>();
  readonly #md5 = new Map<string, string>();

  constructor() {
    for (const [index, [name, size]] of Object.entries(sizes).entries()) this.#data.set(name, noise(size, index + 1));
    const [first, second] = derived.both;
    this.#data.set('both', Buffer.concat([this.data(first), this.data(second)]));
    this.#data.set('cut', this.data(derived.cut[0]).subarray(0, derived.cut[1]));
    for (const [name, data] of this.#data) this.#md5.set(name, md5(data));
  }

  data(name: ContentName): Buffer {
    const found = this.#data.get(name);
    if (found === undefined) throw new Error(`no content ${name}`);
    return found;
  }

  /** The md5, or `damaged` if no content that was ever written has it. */
  known(md5: string): string {
    return [...this.#md5.values()].includes(md5) ? md5 : 'damaged';
  }

  get names(): ContentName[] {
    return [...this.#data.keys()] as ContentName[];
  }

  /** As a listing of it shows: md5s of files. */
  shown(tree: Tree): Record<string, string> {
    return Object.fromEntries(
      Object.entries(tree).map(([path, what]) => [path, what === 'folder' ? 'folder' : (this.#md5.get(what) ?? '')]),
    );
  }
}

export const contents = new Contents();

/** True for our own names: of content that is being uploaded, or of a replaced version that will be removed. */
export function isTemporary(path: string): boolean {
  return path.includes('.syncmount-') || / \(old version kept by syncmount [0-9a-f]+\)/.test(path);
}

/** The tree without our own names: at the server, content may have such a name while it waits for a retry. */
export function withoutTemporaries(tree: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).filter(([path]) => !isTemporary(path)));
}

export function withoutFolders(tree: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree).filter(([, what]) => what !== 'folder'));
}

/** The expected result of a cell whose program got this answer. The answer must be one of the expected ones. */
export function wantedOf({ place, expectation }: Cell, answer: string, impliesFolders = false): Verdict {
  const { before, after, returns, reads, keeps } = operation(place.operation);
  const { errnos, isLie, isDamaged, left = {} } = expectation;
  const isDone = errnos.length === 0;
  const isKept = !isDone && keeps === true;
  // The operation is done, except for objects that the server claims to have lost.
  const liedAbout = place.isAfterwards ? after : before;
  const whole = reads === undefined ? undefined : contents.data(reads.content);
  const read = reads?.part === undefined ? whole : whole?.subarray(reads.part[0], reads.part[0] + reads.part[1]);
  const stored = (tree: Tree): Record<string, string> => {
    const shown = contents.shown(tree);
    return impliesFolders ? withoutFolders(shown) : shown;
  };
  return {
    answer: isDone ? 'ok' : errnos.includes(answer) ? answer : errnos.join(' or '),
    isInTime: true,
    isFaultMet: true,
    returned: isDone ? (read === undefined ? (returns ?? null) : md5(read)) : null,
    server: isDamaged
      ? { file: 'damaged' }
      : stored(isLie ? liedAbout : isDone || place.isDone === true ? after : before),
    mount: contents.shown(isDone || isKept ? after : before),
    listed: isKept ? (errnos.includes(answer) ? answer : (errnos[0] ?? null)) : null,
    secondAnswer: isDone ? null : 'ok',
    serverAfter: { ...stored(isLie ? liedAbout : after), ...stored(left) },
    mountAfter: contents.shown(after),
  };
}
