/**
 * A provider in memory that keeps the whole contract of src/providers/provider.ts. It adds tools for tests: gates that hold a
 * call, failures, lost answers, a log of calls, and another client (`other`) of the same account.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../src/base/clock.js';
import type { ByteRange, RangeBody, UploadSource } from '../../src/providers/content.js';
import { ProviderError, type ProviderErrorCode } from '../../src/providers/errors.js';
import type {
  Account,
  Capabilities,
  PlacedEntry,
  Provider,
  RemoteEntry,
  RemoteFile,
  RemoteFolder,
  RemoteRef,
  RequestOptions,
  UploadOptions,
  UploadTarget,
} from '../../src/providers/provider.js';
import { isYoung } from '../../src/providers/provider.js';
import type { RequestMetrics } from '../../src/providers/request-metrics.js';
import { MemoryAccount, type MemoryNode } from './memory-account.js';

export type Method =
  | 'account'
  | 'list'
  | 'stat'
  | 'read'
  | 'createFolder'
  | 'upload'
  | 'move'
  | 'copy'
  | 'trash'
  | 'untrash'
  | 'listTrash'
  | 'remove';

export interface Call {
  readonly method: Method;
  /** The subject of the call: an id, a name or a range. */
  readonly about: string;
  readonly priority: 'foreground' | 'background';
}

export interface MemoryProviderOptions {
  readonly clock: Clock;
  readonly account?: MemoryAccount;
  readonly capabilities?: Partial<Capabilities>;
  /** A move or a new version gives the object a new id. */
  readonly newIds?: boolean;
  /** Answers every range with the whole file. */
  readonly ignoresRange?: boolean;
  /** Bytes of one chunk of a body. */
  readonly chunkBytes?: number;
  /** Bytes per part of a resumable upload; each part is a checkpoint. */
  readonly partBytes?: number;
}

/** A call that a test holds. */
export interface Gate {
  /** Resolves when a call has reached the gate. */
  readonly reached: Promise<void>;
  /** Lets the call go on, or fail. */
  open(error?: Error): void;
}

interface Plan {
  readonly when: 'before' | 'after';
  readonly act: () => Promise<void> | void;
  left: number;
}

export const defaultCapabilities: Capabilities = {
  folders: 'real',
  moveFile: true,
  moveFolder: true,
  copyFile: true,
  trash: true,
  permanentDelete: true,
  resumableUpload: true,
  md5: true,
  quota: true,
  changes: false,
  caseSensitive: true,
  maxNameLength: 255,
};

export class MemoryProvider implements Provider {
  readonly name = '4shared';
  readonly capabilities: Capabilities;
  readonly calls: Call[] = [];
  /** The account at the server: what another client sees and changes. */
  readonly other: MemoryAccount;
  /** A test may change it at any time. */
  ignoresRange: boolean;
  /** Bytes that left the server. */
  sentBytes = 0;
  /** Bytes of the parts that the server accepted. */
  takenBytes = 0;
  #offline = false;
  /** What `metrics` tells. */
  outage: RequestMetrics['outage'] = null;
  readonly #o: MemoryProviderOptions;
  readonly #plans = new Map<Method, Plan[]>();

  constructor(options: MemoryProviderOptions) {
    this.#o = options;
    this.capabilities = { ...defaultCapabilities, ...options.capabilities };
    this.ignoresRange = options.ignoresRange ?? false;
    this.other = options.account ?? new MemoryAccount(options.clock, this.capabilities);
  }

  /** The number of calls since the last question, by method, without zeros. */
  counts(): Partial<Record<Method, number>> {
    const counts: Partial<Record<Method, number>> = {};
    for (const { method } of this.calls.splice(0)) counts[method] = (counts[method] ?? 0) + 1;
    return counts;
  }

  /** The next call of `method` waits, before it does anything or (`after`) before it answers. */
  gate(method: Method, when: 'before' | 'after' = 'before'): Gate {
    let reach!: () => void;
    let open!: (error?: Error) => void;
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    const opened = new Promise<void>((resolve, reject) => {
      open = (error) => (error === undefined ? resolve() : reject(error));
    });
    opened.catch(() => undefined);
    this.#plan(method, {
      when,
      left: 1,
      act: () => {
        reach();
        return opened;
      },
    });
    return { reached, open };
  }

  fail(method: Method, code: ProviderErrorCode, times = 1): void {
    this.#plan(method, {
      when: 'before',
      left: times,
      act: () => {
        throw new ProviderError(code, `${method} was told to fail`);
      },
    });
  }

  /** The server carries out the call, but its answer is lost. */
  loseAnswer(method: Method, code: ProviderErrorCode = 'network', times = 1): void {
    this.#plan(method, {
      when: 'after',
      left: times,
      act: () => {
        throw new ProviderError(code, `the answer to ${method} was lost`);
      },
    });
  }

  /** Runs `act` in the middle of the next call of `method`. */
  during(method: Method, when: 'before' | 'after', act: () => void | Promise<void>): void {
    this.#plan(method, { when, left: 1, act });
  }

  set offline(value: boolean) {
    this.#offline = value;
  }

  account(options?: RequestOptions): Promise<Account> {
    return this.#call('account', '', options, () => ({
      userId: 'user-1',
      identifiedBy: 'service',
      label: 'person@example.org',
      root: this.other.folder(this.other.rootId),
      quota: this.capabilities.quota ? { total: 1e9, free: 9e8 } : null,
      maxFileSize: null,
    }));
  }

  list(folder: RemoteFolder, options?: RequestOptions & { readonly countsAreFresh?: boolean }): Promise<RemoteEntry[]> {
    const isListed = ({ kind }: RemoteEntry): boolean =>
      options?.countsAreFresh !== true || (kind === 'file' ? folder.fileCount : folder.folderCount) !== 0;
    return this.#call('list', folder.id, options, () => this.other.list(folder.id).filter(isListed));
  }

  stat(ref: RemoteRef, options?: RequestOptions): Promise<RemoteEntry> {
    return this.#call('stat', ref.id, options, () => this.other.entry(ref.kind, ref.id));
  }

  read(file: RemoteFile, range: ByteRange, options?: RequestOptions): Promise<RangeBody> {
    const about = `${file.id} ${range.offset}+${range.length}`;
    return this.#call('read', about, options, () => {
      const node = this.other.node('file', file.id);
      const now = this.other.file(file.id);
      if (now.size !== file.size || now.md5 !== file.md5 || (file.md5 === null && now.modified !== file.modified)) {
        throw new ProviderError('revision-changed', `${file.name} was changed`);
      }
      const { offset, length } = this.ignoresRange ? { offset: 0, length: node.data.length } : range;
      const body = this.#body(node.data.subarray(offset, offset + length), options?.signal);
      return { offset, length, body, ...(isYoung(file, this.other.now) && { isYoung: true }) };
    });
  }

  createFolder(parentId: string, name: string, options?: RequestOptions): Promise<RemoteFolder> {
    return this.#call('createFolder', name, options, () => {
      this.other.requireFree(parentId, name);
      return this.other.folder(this.other.add('folder', parentId, name).id);
    });
  }

  async upload(target: UploadTarget, source: UploadSource, options: UploadOptions = {}): Promise<RemoteFile> {
    const { parentId, name, replaces } = target;
    const md5 = await source.md5();
    return this.#call('upload', name, options, async () => {
      this.other.node('folder', parentId);
      if (replaces === undefined) this.other.requireFree(parentId, name);
      else this.other.node('file', replaces.id);
      const data = await this.#receive(source, md5, options);
      if (createHash('md5').update(data).digest('hex') !== md5) throw new ProviderError('integrity', 'md5 differs');
      if (replaces === undefined) {
        this.other.requireFree(parentId, name);
        return this.other.file(this.other.add('file', parentId, name, data).id);
      }
      const node = this.other.node('file', replaces.id);
      this.other.change(node, data);
      if (this.#o.newIds) this.other.renumber(node);
      return this.other.file(node.id);
    });
  }

  move(entry: RemoteEntry, to: { parentId: string; name: string }, options?: RequestOptions): Promise<RemoteEntry> {
    if (!(entry.kind === 'file' ? this.capabilities.moveFile : this.capabilities.moveFolder)) return unsupported();
    return this.#call('move', `${entry.id} -> ${to.name}`, options, () => {
      const node = this.other.node(entry.kind, entry.id);
      this.other.node('folder', to.parentId);
      this.other.requireFree(to.parentId, to.name, node);
      node.parentId = to.parentId;
      node.name = to.name;
      if (this.#o.newIds && entry.kind === 'file') this.other.renumber(node);
      return this.other.entry(entry.kind, node.id);
    });
  }

  copy(file: RemoteFile, to: { parentId: string; name: string }, options?: RequestOptions): Promise<RemoteFile> {
    if (!this.capabilities.copyFile) return unsupported();
    return this.#call('copy', `${file.id} -> ${to.name}`, options, () => {
      const { data } = this.other.node('file', file.id);
      this.other.requireFree(to.parentId, to.name);
      return this.other.file(this.other.add('file', to.parentId, to.name, data).id);
    });
  }

  trash(entry: RemoteEntry, options?: RequestOptions): Promise<RemoteEntry> {
    if (!this.capabilities.trash) return unsupported();
    return this.#call('trash', entry.id, options, () => {
      const node = this.other.node(entry.kind, entry.id);
      const answer = this.other.entry(entry.kind, entry.id);
      node.trashed = true;
      return answer;
    });
  }

  untrash(entry: RemoteEntry, options: RequestOptions & { readonly name?: string } = {}): Promise<RemoteEntry> {
    return this.#call('untrash', entry.id, options, () => {
      const node = this.other.trashedNode(entry.kind, entry.id);
      const { name = node.name } = options;
      this.other.requireFree(node.parentId ?? '', name);
      node.name = name;
      node.trashed = false;
      return this.other.entry(entry.kind, entry.id);
    });
  }

  listTrash(options?: RequestOptions): Promise<PlacedEntry[]> {
    if (!this.capabilities.trash) return unsupported();
    return this.#call('listTrash', '', options, () => this.other.trashed());
  }

  remove(entry: RemoteEntry, options?: RequestOptions): Promise<void> {
    if (!this.capabilities.permanentDelete) return unsupported();
    return this.#call('remove', entry.id, options, () => this.other.forget(this.other.anyNode(entry.kind, entry.id)));
  }

  metrics(): RequestMetrics {
    return { total: this.calls.length, byRoute: {}, outcomes: {}, rateLimit: null, outage: this.outage };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #plan(method: Method, plan: Plan): void {
    this.#plans.set(method, [...(this.#plans.get(method) ?? []), plan]);
  }

  async #planned(method: Method, when: Plan['when'], signal: AbortSignal | undefined): Promise<void> {
    const plan = this.#plans.get(method)?.find((candidate) => candidate.when === when && candidate.left > 0);
    if (plan === undefined) return;
    plan.left--;
    await orAborted(plan.act(), signal);
  }

  async #call<T>(
    method: Method,
    about: string,
    options: RequestOptions | undefined,
    act: () => T | Promise<T>,
  ): Promise<T> {
    this.calls.push({ method, about, priority: options?.priority ?? 'foreground' });
    if (options?.signal?.aborted) throw new ProviderError('aborted', 'aborted before it began');
    if (this.#offline) throw new ProviderError('network', 'the provider cannot be reached');
    // Like a real server, it never answers in the same turn.
    await Promise.resolve();
    await this.#planned(method, 'before', options?.signal);
    const answer = await act();
    await this.#planned(method, 'after', options?.signal);
    return answer;
  }

  async *#body(data: Uint8Array, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const step = this.#o.chunkBytes ?? 64 * 1024;
    for (let at = 0; at < data.length; at += step) {
      await Promise.resolve();
      if (signal?.aborted) throw new ProviderError('aborted', 'aborted in the body');
      const chunk = data.slice(at, at + step);
      this.sentBytes += chunk.length;
      yield chunk;
    }
  }

  /** Takes the content in parts. A checkpoint says how many bytes the server has, and their md5. */
  async #receive(source: UploadSource, md5: string, options: UploadOptions): Promise<Uint8Array> {
    const part = this.#o.partBytes ?? Number.POSITIVE_INFINITY;
    const resumed = options.resume?.md5 === md5 ? (options.resume.key as string) : undefined;
    const key = resumed ?? this.other.newUpload();
    let data = this.other.uploads.get(key) ?? new Uint8Array();
    if (data.length === 0) await options.onCheckpoint?.({ key, md5 });
    while (data.length < source.size) {
      if (options.signal?.aborted) throw new ProviderError('aborted', 'aborted between parts');
      const length = Math.min(part, source.size - data.length);
      const chunks: Uint8Array[] = [data];
      for await (const chunk of source.read(data.length, length)) chunks.push(chunk.slice());
      data = Buffer.concat(chunks);
      this.takenBytes += length;
      this.other.uploads.set(key, data);
      options.onProgress?.(data.length);
      await options.onCheckpoint?.({ key, md5 });
    }
    return data;
  }
}

function unsupported(): Promise<never> {
  return Promise.reject(new ProviderError('unsupported', 'no such operation'));
}

function orAborted(work: Promise<void> | void, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new ProviderError('aborted', 'aborted while it waited'));
    signal?.addEventListener('abort', stop, { once: true });
    Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => signal?.removeEventListener('abort', stop));
  });
}

export type { MemoryNode };
