/** One mount's conversation with the kernel: what its operations share, and the way to answer. */
import { performance } from 'node:perf_hooks';
import type { Log } from '../../../base/log.js';
import type { Filesystem, HandleId, Ino } from '../../../filesystem/api.js';
import { settle } from '../../answers.js';
import { type Addon, type Device, errnoName, failed } from '../addon.js';
import { maxWrite } from '../protocol/negotiation.js';
import { NodeIds } from '../protocol/node-ids.js';
import { Reply } from '../protocol/reply.js';
import { Request } from '../protocol/request.js';
import { outHeader } from '../protocol/structs.js';
import { BufferPool } from './buffers.js';
import type { RequestCaller } from './caller.js';
import { Directories } from './directory-handles.js';
import { Interrupts, type Looks } from './interrupts.js';
import { Passthrough } from './passthrough.js';

/** A request's buffer must hold the largest write with its headers; libfuse too adds a page for them. */
const requestCapacity = maxWrite + 4096;
/** Spare request buffers; each is only touched as far as requests were long. */
const keptSpare = 4;

export class Connection {
  readonly fs: Filesystem;
  readonly log: Log;
  readonly nodes: NodeIds;
  readonly directories: Directories;
  readonly buffers = new BufferPool();
  readonly reply = new Reply();
  /** Open files, so that they are released when the mount goes: the kernel drops releases that are under way then. */
  readonly handles = new Set<HandleId>();
  /** Requests that wait for a promise, by `unique`. */
  readonly pending = new Map<number, RequestCaller>();
  readonly interrupts: Interrupts;
  readonly passthrough: Passthrough;
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
    this.directories = new Directories(fs, this.nodes, () => performance.now());
    this.#addon = addon;
    this.passthrough = new Passthrough(fs, log, {
      open: (fd) => (this.#device === undefined ? failed.noDevice : addon.backingOpen(this.#device, fd)),
      close: (id) => (this.#device === undefined ? failed.noDevice : addon.backingClose(this.#device, id)),
    });
  }

  attach(device: Device): void {
    this.#device = device;
  }

  /** No answer is sent from here on. */
  detach(): void {
    this.#device = undefined;
    this.interrupts.close();
  }

  /** For how long the kernel may keep the attributes of an object: as long as the listing it stands in. */
  validityOf(ino: Ino): number {
    try {
      return this.fs.validity(this.fs.parentOf(ino));
    } catch {
      // Removed while it is open: it stands in no listing.
      return 0;
    }
  }

  /** Sends what was encoded behind the reply's header. False: the kernel no longer waits for it. */
  send(unique: number, bodyLength: number): boolean {
    if (this.#device === undefined) return false;
    const { reply } = this;
    reply.header(unique, 0, bodyLength);
    const head = outHeader.$bytes + bodyLength;
    const result = this.#addon.reply(this.#device, reply.bytes, head, reply.payload, reply.payloadLength);
    reply.payload = undefined;
    reply.payloadLength = 0;
    if (result === 0) return true;
    if (result === failed.invalid) {
      // The kernel rejects an answer of the wrong length, and goes on waiting for one.
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

  #unlessGone(result: number): void {
    // ENOENT: the request was aborted. ENODEV, ECONNABORTED, EPERM (never mounted): so was the mount, as we shall hear.
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

  /** The data of a request is still needed: its buffer is not read into again before `work` settles. */
  keepUntil(request: Request, work: Promise<unknown>): void {
    this.#kept.add(request);
    const giveBack = (): void => {
      this.#kept.delete(request);
      if (this.#spare.length < keptSpare) this.#spare.push(request);
    };
    work.then(giveBack, giveBack);
  }
}
