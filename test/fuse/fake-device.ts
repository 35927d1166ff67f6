/** A fake /dev/fuse made of arrays. It gives a `Session` the requests of a test, and keeps its answers. */
import type { Log } from '../../src/base/log.js';
import type { Filesystem } from '../../src/filesystem/api.js';
import { type Addon, type Device, failed } from '../../src/fuse/kernel/addon.js';
import type { Looks } from '../../src/fuse/kernel/connection/interrupts.js';
import { inHeader, outHeader } from '../../src/fuse/kernel/protocol/structs.js';
import { FuseSession } from '../../src/fuse/kernel/session/fuse-session.js';
import { captured } from './captured-requests.js';

export interface Answer {
  readonly unique: number;
  /** 0 or a negative errno; positive for a notification. */
  readonly error: number;
  readonly body: Buffer;
}

export const viewOf = (body: Buffer): DataView => new DataView(body.buffer, body.byteOffset, body.length);

/** A captured request with changed header fields, or with another body. */
export function request(
  kind: keyof typeof captured | { opcode: number },
  { unique, nodeid, body }: { unique?: number; nodeid?: number; body?: Buffer } = {},
): Buffer {
  const template = Buffer.from(typeof kind === 'string' ? captured[kind] : captured.getattr, 'hex');
  const bytes = body === undefined ? template : Buffer.concat([template.subarray(0, inHeader.$bytes), body]);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  inHeader.len.set(view, 0, bytes.length);
  if (typeof kind !== 'string') inHeader.opcode.set(view, 0, kind.opcode);
  if (unique !== undefined) inHeader.unique.set(view, 0, unique);
  if (nodeid !== undefined) inHeader.nodeid.set(view, 0, nodeid);
  return bytes;
}

export class FakeDevice {
  readonly session: FuseSession;
  readonly answers: Answer[] = [];
  readonly notifications: Answer[] = [];
  readonly complaints: string[] = [];
  /** The result of the next `reply`, instead of success. */
  refusal = 0;
  closed = false;
  readonly #queue: Buffer[] = [];
  #onReadable: (status: number) => void = () => {};

  /** A device with the protocol agreed, unless `init` is false. */
  constructor(fs: Filesystem, { init = true, looks }: { init?: boolean; looks?: Looks } = {}) {
    const complain = (data: object, message: string): void =>
      void this.complaints.push(`${message} ${Object.values(data)}`);
    const log: Log = { debug() {}, info() {}, warn: complain, error: complain };
    this.session = new FuseSession(this.#addon(), 99, fs, log, looks);
    if (!init) return;
    this.send(Buffer.from(captured.init, 'hex'));
    this.answers.length = 0;
  }

  /** Puts requests in and lets the session read them all. */
  send(...requests: Buffer[]): void {
    this.#queue.push(...requests);
    while (this.#queue.length > 0 && !this.closed) this.#onReadable(0);
  }

  /** The answer to the one request that is sent. */
  ask(bytes: Buffer): Answer | undefined {
    const before = this.answers.length;
    this.send(bytes);
    return this.answers[before];
  }

  hangUp(): void {
    this.#onReadable(-9);
  }

  #addon(): Addon {
    const unused = (): never => {
      throw new Error('not in this test');
    };
    return {
      mount: unused,
      unmount: unused,
      punchHole: unused,
      isOpenElsewhere: unused,
      isOpenForWriting: unused,
      openDevice: unused,
      socketPair: unused,
      receiveDescriptor: unused,
      closeDescriptor: unused,
      backingOpen: unused,
      backingClose: unused,
      createDevice: (_fd, onReadable) => {
        this.#onReadable = onReadable;
        return {} as Device;
      },
      read: (_device, into) => {
        const next = this.#queue.shift();
        if (next === undefined) return failed.again;
        into.set(next);
        return next.length;
      },
      reply: (_device, head, headLength, payload, payloadLength) => {
        if (this.refusal !== 0) return this.refusal;
        const tail = payload?.subarray(0, payloadLength) ?? new Uint8Array(0);
        this.answers.push(this.#parse(Buffer.concat([head.subarray(0, headLength), tail])));
        return 0;
      },
      notify: (_device, bytes) => {
        this.notifications.push(this.#parse(Buffer.from(bytes)));
        return 0;
      },
      close: () => {
        this.closed = true;
      },
    };
  }

  #parse(bytes: Buffer): Answer {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (outHeader.len.get(view, 0) !== bytes.length) throw new Error('an answer with a wrong length');
    return {
      unique: outHeader.unique.get(view, 0),
      error: outHeader.error.get(view, 0),
      body: bytes.subarray(outHeader.$bytes),
    };
  }
}
