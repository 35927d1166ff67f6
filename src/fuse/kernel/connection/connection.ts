/** One mount's connection to the kernel: the state that its operations share, and `send` and `fail`, which send every answer. */
import { performance } from 'node:perf_hooks';
import type { Log } from '../../../base/log.js';
import type { MaybePromise } from '../../../base/maybe-promise.js';
import type { Filesystem, HandleId, Ino } from '../../../filesystem/api.js';
import { andThen, settle } from '../../answers.js';
import { type Addon, type Device, errnoName, failed } from '../addon.js';
import { maxWrite } from '../protocol/negotiation.js';
import { NodeIds } from '../protocol/node-ids.js';
import { notifyCode } from '../protocol/protocol.js';
import { Reply } from '../protocol/reply-buffer.js';
import { Request } from '../protocol/request.js';
import { outHeader } from '../protocol/structs.js';
import { BufferPool } from './buffers.js';
import type { RequestCaller } from './caller.js';
import { DirectoryHandles } from './directory-handles.js';
import { Interrupts, type Looks } from './interrupts.js';
import { Passthrough } from './passthrough.js';

/** A request's buffer must hold the largest write with its headers; libfuse too adds a page for them. */
const requestCapacity = maxWrite + 4096;
/**
 * The longest payload that is written on the event loop, bytes. Passing a call to a thread of the pool takes about as long as copying
 * 128 KiB. Copying a MiB takes 0.4 to 0.8 ms.
 */
const MAX_COPIED = 128 * 1024;
/** Number of spare request buffers. Only the pages that requests have used take memory. */
const keptSpare = 4;

export class Connection {
  readonly fs: Filesystem;
  readonly log: Log;
  readonly nodes: NodeIds;
  readonly directories: DirectoryHandles;
  readonly buffers = new BufferPool();
  readonly reply = new Reply();
  /** Open files. They are released when the mount ends, because the kernel then drops pending RELEASE requests. */
  readonly handles = new Set<HandleId>();
  /** Requests that are not answered yet, by `unique`. */
  readonly pending = new Map<number, RequestCaller>();
  readonly interrupts: Interrupts;
  readonly passthrough: Passthrough;
  /** FUSE_SETXATTR has its longer form. */
  extendedSetxattr = false;
  /** The kernel supports a notification that makes it ask for all names anew. */
  expiresNames = false;
  /** Makes the kernel ask for the attributes of the object again. */
  attributesChanged: (ino: Ino) => void = () => {};
  readonly #addon: Addon;
  #device: Device | undefined;
  readonly #spare: Request[] = [];
  readonly #kept = new Set<Request>();
  readonly maxKeptRequests = 8;

  constructor(fs: Filesystem, log: Log, addon: Addon, looks?: Looks) {
    this.fs = fs;
    this.log = log;
    this.interrupts = new Interrupts(this.pending, looks);
    this.nodes = new NodeIds(fs.root, (ino) => fs.forgotten?.(ino));
    fs.countsReferences?.((ino) => this.#device !== undefined && this.nodes.isHeld(this.nodes.nodeOf(ino)));
    this.directories = new DirectoryHandles(fs, this.nodes, () => performance.now());
    this.#addon = addon;
    this.passthrough = new Passthrough(fs, log, {
      open: (fd) => (this.#device === undefined ? failed.noDevice : addon.backingOpen(this.#device, fd)),
      close: (id) => (this.#device === undefined ? failed.noDevice : addon.backingClose(this.#device, id)),
    });
  }

  attach(device: Device): void {
    this.#device = device;
  }

  /** After this call, no answer is sent. */
  detach(): void {
    this.#device = undefined;
    this.interrupts.close();
  }

  /** How long the kernel may cache an object's attributes: as long as the listing of its directory is valid. */
  validityOf(ino: Ino): number {
    try {
      return this.fs.validity(this.fs.parentOf(ino), ino);
    } catch {
      // The object is removed but still open, so it is in no listing.
      return 0;
    }
  }

  /**
   * Sends the encoded answer. False if the kernel no longer waits for it. Returns a promise if the payload is long. The payload must not
   * change before that resolves.
   */
  send(unique: number, bodyLength: number): MaybePromise<boolean> {
    if (this.#device === undefined) return false;
    const { reply } = this;
    const { payload, payloadLength } = reply;
    reply.header(unique, 0, bodyLength);
    const head = outHeader.$bytes + bodyLength;
    reply.payload = undefined;
    reply.payloadLength = 0;
    if (payload !== undefined && payloadLength > MAX_COPIED && this.#addon.replyLater !== undefined)
      return andThen(this.#addon.replyLater(this.#device, reply.bytes, head, payload, payloadLength), (result) =>
        this.#isTaken(result, unique, bodyLength),
      );
    const result = this.#addon.reply(this.#device, reply.bytes, head, payload, payloadLength);
    return this.#isTaken(result, unique, bodyLength);
  }

  #isTaken(result: number, unique: number, bodyLength: number): boolean {
    if (result === 0) return true;
    if (result === failed.invalid) {
      // The kernel rejects an answer of the wrong length, and keeps waiting for a right one.
      this.log.error({ unique, bodyLength }, 'the kernel took our answer for malformed');
      this.fail(unique, 5);
    }
    this.#unlessGone(result);
    return false;
  }

  /** Answers with a positive errno. */
  fail(unique: number, errno: number): void {
    if (this.#device === undefined) return;
    const { reply } = this;
    reply.payload = undefined;
    reply.payloadLength = 0;
    reply.header(unique, -errno, 0);
    this.#unlessGone(this.#addon.reply(this.#device, reply.bytes, outHeader.$bytes, undefined, 0));
  }

  /**
   * Makes the kernel ask for the missing names of these directories again, because it has cached an existing name as missing. Call it
   * before the answer that reveals the name: the program then looks at that name. The kernel can be told to forget a single name only after
   * the answer, because the caller holds the directory's lock.
   */
  expireMissingNames(...directories: number[]): void {
    for (const nodeid of directories) if (nodeid !== 0) this.directories.invalidate(this.nodes.inoOf(nodeid));
    if (this.#device === undefined || !this.expiresNames) return;
    const { reply } = this;
    reply.payload = undefined;
    reply.payloadLength = 0;
    // A notification is a reply with unique 0 and a positive code in place of the error.
    reply.header(0, notifyCode.expireNames, 0);
    this.#unlessGone(this.#addon.reply(this.#device, reply.bytes, outHeader.$bytes, undefined, 0));
  }

  #unlessGone(result: number): void {
    // ENOENT: the request was aborted. ENODEV, ECONNABORTED, EPERM (never mounted): the mount is gone, and the device tells
    // the session.
    const gone: readonly number[] = [0, failed.noEntry, failed.noDevice, failed.aborted, failed.notPermitted];
    if (!gone.includes(result)) this.log.error({ error: errnoName(result) }, 'cannot answer the kernel');
  }

  releaseHandle(handle: HandleId): Promise<void> {
    this.handles.delete(handle);
    this.passthrough.released(handle);
    return new Promise((resolve) => {
      settle(
        () => this.fs.release(handle),
        () => resolve(),
        (error) => {
          this.log.error({ handle, err: error }, 'release failed');
          resolve();
        },
      );
    });
  }

  takeRequest(): Request {
    return this.#spare.pop() ?? new Request(requestCapacity);
  }

  get keptRequests(): number {
    return this.#kept.size;
  }

  isKept(request: Request): boolean {
    return this.#kept.has(request);
  }

  /** Keeps the request's data until `work` settles: its buffer is not reused before. */
  keepUntil(request: Request, work: Promise<unknown>): void {
    this.#kept.add(request);
    const giveBack = (): void => {
      this.#kept.delete(request);
      if (this.#spare.length < keptSpare) this.#spare.push(request);
    };
    work.then(giveBack, giveBack);
  }
}
