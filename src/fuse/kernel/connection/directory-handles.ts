/**
 * Open directories: answers READDIR and READDIRPLUS in chunks from a snapshot of the listing.
 *
 * The core gives each entry a position, and a listing is in the order of positions (plus 2: `.` is 1 and `..` is 2).
 * So a position means the same in a later listing. Neither seekdir(3) nor removing entries while reading makes the reader
 * skip or repeat the remaining entries.
 */
import { isPromise, type MaybePromise } from '../../../base/maybe-promise.js';
import { encodeName, nameBytes } from '../../../base/raw-names.js';
import type { Attributes, Caller, DirectoryEntry, Filesystem, Ino } from '../../../filesystem/api.js';
import { FsError } from '../../../filesystem/core/fs-error.js';
import { andThen, fileTypeBits } from '../../answers.js';
import type { NodeIds } from '../protocol/node-ids.js';
import { openedFlag } from '../protocol/protocol.js';
import { encodeEntry, entryBytes, type Reply } from '../protocol/reply-buffer.js';
import { dirent } from '../protocol/structs.js';

const self = 1;
const parent = 2;
const positionOf = ({ attributes, position }: DirectoryEntry): number => (position ?? attributes.ino) + parent;

export interface Stream {
  readonly ino: Ino;
  entries: readonly DirectoryEntry[] | undefined;
  /** `DirectoryHandles.changes` when the listing was requested: its attributes are fresh while the counter is the same. */
  changes: number;
  /** Where the last chunk ended. */
  next: number;
}

const align = (length: number): number => (length + 7) & ~7;

export class DirectoryHandles {
  readonly #fs: Filesystem;
  readonly #nodes: NodeIds;
  readonly #now: () => number;
  readonly #streams = new Map<number, Stream>();
  /** By directory: until when (monotonic ms) the kernel may use the listing that it has cached. */
  readonly #cachedUntil = new Map<Ino, number>();
  #lastHandle = 0;
  /** The objects to which the last `fill` gave the kernel references; once for each reference. */
  readonly given: Ino[] = [];
  /** Counts everything that may have changed an attribute since the mount began. */
  changes = 0;

  /** `now` is a monotonic clock, ms. */
  constructor(fs: Filesystem, nodes: NodeIds, now: () => number) {
    this.#fs = fs;
    this.#nodes = nodes;
    this.#now = now;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Opens a directory. The flags let the kernel use its cached listing while the core considers that valid. */
  open(ino: Ino): { handle: number; flags: number } {
    const handle = ++this.#lastHandle;
    this.#streams.set(handle, { ino, entries: undefined, changes: 0, next: 0 });
    const usable = (this.#cachedUntil.get(ino) ?? 0) > this.#now();
    if (!usable) this.#cachedUntil.delete(ino);
    return { handle, flags: openedFlag.cacheDirectory | (usable ? openedFlag.keepCache : 0) };
  }

  release(handle: number): void {
    this.#streams.delete(handle);
  }

  /** Makes the kernel request a new listing at the next open of the directory. */
  invalidate(ino: Ino): void {
    this.#cachedUntil.delete(ino);
  }

  /** Provides the listing for a chunk from `offset`. Offset 0 (rewinddir(3)) takes a new snapshot. */
  prepare(handle: number, offset: number, caller: Caller): MaybePromise<Stream> {
    const stream = this.#streams.get(handle);
    if (stream === undefined) throw new FsError('EBADF', `no open directory ${handle}`);
    if (offset !== 0 && stream.entries !== undefined) return stream;
    const { changes } = this;
    return andThen(this.#fs.readdir(stream.ino, caller), (entries) => {
      stream.entries = entries;
      stream.changes = changes;
      const validMs = this.#fs.validity(stream.ino);
      if (validMs > 0) this.#cachedUntil.set(stream.ino, this.#now() + validMs);
      return stream;
    });
  }

  /** Writes the entries after `offset` that fit into `size` bytes. Returns the number of bytes, 0 at the end. */
  fill(stream: Stream, offset: number, size: number, plus: boolean, reply: Reply): number {
    const { entries = [] } = stream;
    this.given.length = 0;
    const end = reply.body + Math.min(size, reply.capacity);
    let at = reply.body;
    if (offset < self) {
      const after = this.#dot(at, end, stream.ino, '.', self, plus, reply);
      if (after === undefined) return at - reply.body;
      at = after;
    }
    if (offset < parent) {
      const after = this.#dot(at, end, this.#fs.parentOf(stream.ino), '..', parent, plus, reply);
      if (after === undefined) return at - reply.body;
      at = after;
    }
    const validMs = plus ? this.#fs.validity(stream.ino) : 0;
    const fresh = stream.changes === this.changes;
    let index = indexAfter(entries, offset, stream.next);
    for (; index < entries.length; index++) {
      const entry = entries[index];
      if (entry === undefined) break;
      const { ino, kind } = entry.attributes;
      let head = 0;
      const length = nameBytes(entry.name);
      if (at + (plus ? entryBytes : 0) + dirent.$bytes + align(length) > end) break;
      if (plus) {
        const attributes = fresh ? entry.attributes : this.#current(ino);
        if (attributes === undefined) reply.clear(at, entryBytes);
        else {
          encodeEntry(reply.view, at, this.#nodes, attributes, validMs);
          this.given.push(ino);
        }
        head = entryBytes;
      }
      at = encodeDirent(reply, at + head, ino, positionOf(entry), fileTypeBits[kind], entry.name, length);
    }
    stream.next = index;
    return at - reply.body;
  }

  /** Writes `.` or `..` without attributes (node 0), because the kernel resolves them itself. */
  #dot(
    at: number,
    end: number,
    ino: Ino,
    name: string,
    position: number,
    plus: boolean,
    reply: Reply,
  ): number | undefined {
    const head = plus ? entryBytes : 0;
    if (at + head + dirent.$bytes + 8 > end) return undefined;
    if (plus) reply.clear(at, head);
    return encodeDirent(reply, at + head, ino, position, fileTypeBits.directory, name, name.length);
  }

  /**
   * The current attributes of an entry. The kernel assumes that attributes in a listing are newer than its own, but the
   * snapshot may be older than a write in between. If the core has no synchronous answer, the name is sent without
   * attributes.
   */
  #current(ino: Ino): Attributes | undefined {
    try {
      const attributes = this.#fs.getattr(ino);
      if (!isPromise(attributes)) return attributes;
      attributes.catch(() => undefined);
    } catch {
      // The object was removed meanwhile.
    }
    return undefined;
  }
}

function encodeDirent(
  reply: Reply,
  at: number,
  ino: Ino,
  position: number,
  type: number,
  name: string,
  length: number,
): number {
  const { view, bytes } = reply;
  dirent.ino.set(view, at, ino);
  dirent.off.set(view, at, position);
  dirent.namelen.set(view, at, length);
  // DT_DIR and DT_REG are the file type's bits of the mode, shifted: readdir(3).
  dirent.type.set(view, at, type >> 12);
  const start = at + dirent.$bytes;
  // A name with bytes that are not UTF-8 is shorter than its text.
  if (Buffer.byteLength(name) === length) bytes.write(name, start, 'utf8');
  else encodeName(name).copy(bytes, start);
  const end = start + align(length);
  bytes.fill(0, start + length, end);
  return end;
}

/** Index of the first entry whose position is after `offset`. `hint` is the index where the last chunk ended. */
function indexAfter(entries: readonly DirectoryEntry[], offset: number, hint: number): number {
  const beyond = (index: number): boolean => {
    const entry = entries[index];
    return entry === undefined || positionOf(entry) > offset;
  };
  if (beyond(hint) && (hint === 0 || !beyond(hint - 1))) return hint;
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (beyond(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
