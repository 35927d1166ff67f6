/**
 * Reads the kernel's requests, dispatches them, and sends the answers. One session per mount.
 *
 * Everything runs on the event loop. If the file system answers synchronously, the request is read, dispatched and answered
 * without a promise or a timer in between. The other requests wait in `Connection.pending`.
 */
import { constants } from 'node:os';
import { SyncmountError } from '../../../base/errors.js';
import type { Log } from '../../../base/log.js';
import { isPromise, type MaybePromise } from '../../../base/maybe-promise.js';
import { OperationTimings } from '../../../base/operation-timings.js';
import type { Filesystem } from '../../../filesystem/api.js';
import { FsError } from '../../../filesystem/core/fs-error.js';
import { errnoOf } from '../../answers.js';
import { type Addon, type Device, errnoName, failed } from '../addon.js';
import { RequestCaller } from '../connection/caller.js';
import { Connection } from '../connection/connection.js';
import type { Looks } from '../connection/interrupts.js';
import { type NamedOperation, operationNames, operations } from '../operations/operations.js';
import { initReplyBytes, negotiate } from '../protocol/negotiation.js';
import { expireNamesMinor, opcode } from '../protocol/protocol.js';
import type { Request } from '../protocol/request.js';
import { initIn } from '../protocol/structs.js';
import { CacheNotifications } from './cache-notifications.js';

const { EEXIST, EINTR, EINVAL, EIO, ENOSYS, ENOTSUP } = constants.errno;

/** The most requests in a row before timers and sockets get their turn. */
const batch = 64;

export class FuseSession {
  /** Resolves when the protocol is negotiated. Rejects if that fails, or if the mount ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the connection is over, the requests in flight are settled, and every handle is released. */
  readonly ended: Promise<void>;
  readonly connection: Connection;
  readonly #log: Log;
  /** Timings of all requests with an answer, by opcode. */
  readonly timings = new OperationTimings(operationNames);
  readonly #addon: Addon;
  readonly #device: Device;
  readonly #notifications: CacheNotifications;
  readonly #unsubscribe: () => void;
  readonly #work = new Set<Promise<unknown>>();
  #request: Request;
  #over = false;
  #resolveReady: () => void = () => {};
  #rejectReady: (error: Error) => void = () => {};
  #resolveEnded: () => void = () => {};

  /** Takes ownership of `fd`, a descriptor of /dev/fuse. */
  constructor(addon: Addon, fd: number, fs: Filesystem, log: Log, looks?: Looks) {
    this.#addon = addon;
    this.#log = log;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    // A caller that does not wait for `ready` learns the result from `ended`.
    this.ready.catch(() => {});
    this.connection = new Connection(fs, log, addon, looks);
    this.#request = this.connection.takeRequest();
    this.#device = addon.createDevice(fd, (status) => this.#onReadable(status));
    this.connection.attach(this.#device);
    this.#notifications = new CacheNotifications(this.connection, (message) => {
      const result = addon.notify(this.#device, message);
      if (result !== 0) log.warn({ error: errnoName(result) }, 'cannot notify the kernel');
    });
    this.connection.attributesChanged = (ino) => this.#notifications.add({ kind: 'inode', ino, content: false });
    this.#unsubscribe = fs.onInvalidate((what) => this.#notifications.add(what));
  }

  /**
   * Closes the connection from our side. Callers that wait for an answer get ECONNABORTED or ENOTCONN. With `abandon`, a
   * close(2) in flight does not store its file first.
   */
  close({ abandon }: { abandon: boolean }): Promise<void> {
    this.#end();
    if (abandon) for (const caller of this.connection.pending.values()) caller.interrupt();
    return this.ended;
  }

  #onReadable(status: number): void {
    if (status < 0) this.#end();
    for (let served = 0; served < batch && !this.#over; served++) {
      const result = this.#addon.read(this.#device, this.#request.bytes);
      if (result >= 0) this.#serve(result);
      else if (result === failed.again) return;
      // ENOENT: the request was aborted while we read it.
      else if (result !== failed.interrupted && result !== failed.noEntry) {
        if (result !== failed.noDevice && result !== failed.aborted)
          this.#log.error({ error: errnoName(result) }, 'cannot read from /dev/fuse');
        this.#end();
      }
    }
  }

  /** Dispatches the request of `length` bytes in `#request`. */
  #serve(length: number): void {
    const request = this.#request;
    if (!request.parse(length)) {
      this.#log.error({ length }, 'a request of the kernel makes no sense');
      return;
    }
    if (request.opcode === opcode.init) this.#initialise(request);
    else this.#dispatch(request);
    if (this.connection.isKept(request)) this.#request = this.connection.takeRequest();
  }

  #initialise(request: Request): void {
    const { connection } = this;
    if (request.end - request.body < initIn.$bytes) {
      connection.fail(request.unique, EINVAL);
      return;
    }
    const result = negotiate(request, connection.reply);
    if (result.kind === 'too-old') {
      const version = `${result.major}.${result.minor}`;
      connection.fail(request.unique, EINVAL);
      const message = `the kernel speaks FUSE ${version}; 7.31 (Linux 5.4) is needed: --binding native`;
      this.#rejectReady(new SyncmountError('mount-failed', message));
      return;
    }
    if (result.kind === 'agreed') {
      connection.passthrough.isOn = result.passthrough;
      connection.extendedSetxattr = result.extendedSetxattr;
      connection.expiresNames = result.minor >= expireNamesMinor;
    }
    void connection.send(request.unique, initReplyBytes);
    if (result.kind === 'agreed') {
      this.#log.debug(result, 'FUSE protocol agreed');
      this.#resolveReady();
    }
  }

  #dispatch(request: Request): void {
    const { connection } = this;
    const operation = operations[request.opcode];
    if (operation === undefined) {
      connection.fail(request.unique, ENOSYS);
      return;
    }
    if (request.end - request.body < operation.minimum) {
      this.#log.error({ operation: operation.name, bytes: request.end - request.body }, 'a request is too short');
      if (operation.silent === undefined) connection.fail(request.unique, EINVAL);
      return;
    }
    const begun = performance.now();
    const number = request.opcode;
    const caller = new RequestCaller(request);
    if (operation.changes) connection.directories.changes++;
    let result: MaybePromise<unknown>;
    try {
      result = operation.call(connection, request, caller);
    } catch (error) {
      this.#failed(operation, caller, error);
      this.timings.ended(number, begun, true);
      return;
    }
    if (isPromise(result)) {
      this.#wait(operation, caller, result, number, begun);
      return;
    }
    this.#succeeded(operation, caller.unique, result);
    this.timings.ended(number, begun, false);
  }

  #wait(
    operation: NamedOperation,
    caller: RequestCaller,
    result: Promise<unknown>,
    number: number,
    begun: number,
  ): void {
    const { pending } = this.connection;
    caller.finishes = operation.changes === true;
    pending.set(caller.unique, caller);
    if (operation.isLast) this.connection.interrupts.waits(caller);
    const work = result
      .then(
        (value) => {
          pending.delete(caller.unique);
          this.#succeeded(operation, caller.unique, value);
          this.timings.ended(number, begun, false);
        },
        (error) => {
          pending.delete(caller.unique);
          this.#failed(operation, caller, error);
          this.timings.ended(number, begun, true);
        },
      )
      .then(() => {
        this.#work.delete(work);
        this.#notifications.flush();
      });
    this.#work.add(work);
  }

  #succeeded(operation: NamedOperation, unique: number, value: unknown): void {
    const { connection } = this;
    if (operation.silent) return;
    const errno = operation.errno?.(value) ?? 0;
    if (errno !== 0) {
      connection.fail(unique, errno);
      return;
    }
    let length = 0;
    try {
      length = operation.encode?.(connection, connection.reply, value) ?? 0;
    } catch (error) {
      this.#log.error({ operation: operation.name, err: error }, 'a result cannot be encoded');
      connection.fail(unique, EIO);
      operation.sent?.(connection, value, false);
      return;
    }
    if (operation.changes) connection.directories.changes++;
    const taken = connection.send(unique, length);
    if (!isPromise(taken)) operation.sent?.(connection, value, taken);
    else void taken.then((isTaken) => operation.sent?.(connection, value, isTaken));
  }

  #failed(operation: NamedOperation, caller: RequestCaller, error: unknown): void {
    const { connection } = this;
    if (operation.changes) connection.directories.changes++;
    if (operation.silent) {
      this.#log.error({ operation: operation.name, err: error }, 'a request failed that has no answer');
      return;
    }
    // The AbortError of the signal is the interruption itself.
    const interrupted = caller.interrupted && !(error instanceof FsError);
    const errno = interrupted ? EINTR : errnoOf(error, operation.name, this.#log);
    // EEXIST comes from us only if the kernel did not know the name: it refuses known names itself.
    if (errno === EEXIST && operation.keepsMissing) connection.expireMissingNames(caller.nodeid, caller.otherNodeid);
    connection.fail(caller.unique, errno === ENOSYS && !operation.optional ? ENOTSUP : errno);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#unsubscribe();
    this.connection.detach();
    this.#addon.close(this.#device);
    this.#rejectReady(new SyncmountError('mount-failed', 'the mount was gone before it was ready'));
    // Nobody waits any longer for the results of requests that only read, so abort them. Changes run to their end.
    for (const caller of this.connection.pending.values()) if (!caller.finishes) caller.interrupt();
    this.#settleAll().then(this.#resolveEnded, this.#resolveEnded);
  }

  async #settleAll(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
    for (const handle of this.connection.handles) this.connection.fs.mountLost?.(handle);
    await Promise.all([...this.connection.handles].map((handle) => this.connection.releaseHandle(handle)));
  }
}
