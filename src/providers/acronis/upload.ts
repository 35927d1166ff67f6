/** Stores content: one request in chunked transfer encoding, whatever the size. An existing name gets a new revision. */

import type { UploadSource } from '../content.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import { contentOf } from '../http/transport/content.js';
import type { NameLocks } from '../name-locks.js';
import { checkName, mayCollide } from '../names.js';
import type { Quota, RemoteFile, UploadOptions, UploadTarget } from '../provider.js';
import { isSameRevision } from '../revision.js';
import type { AcronisApi } from './api.js';
import { entryOf, type Node } from './entities.js';
import { maxNameLength } from './namespace.js';
import type { Nodes } from './nodes.js';

export class Uploader {
  readonly #api: AcronisApi;
  readonly #nodes: Nodes;
  readonly #nameLocks: NameLocks;
  readonly #quota: (request: CallOptions) => Promise<Quota | null>;

  constructor(
    api: AcronisApi,
    nodes: Nodes,
    nameLocks: NameLocks,
    quota: (request: CallOptions) => Promise<Quota | null>,
  ) {
    this.#api = api;
    this.#nodes = nodes;
    this.#nameLocks = nameLocks;
    this.#quota = quota;
  }

  upload(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    return this.#nameLocks.during(target, options.signal, () => this.#upload(target, source, options));
  }

  async #upload(target: UploadTarget, source: UploadSource, options: UploadOptions): Promise<RemoteFile> {
    const { parentId, name, replaces } = target;
    checkName(name, maxNameLength);
    const { signal, priority, waitBudget } = options;
    const call: CallOptions = { signal, priority, waitBudget };
    if (replaces?.access === 'read') throw new ProviderError('permission', 'the file is read-only', { data: {} });
    this.#nodes.require(parentId, 'can_create_files_into');
    if ((await this.#obstacle(target, call)) !== undefined) {
      // The cached listing may be out of date: refuse only after a new listing.
      this.#nodes.forgetFolder(parentId);
      await this.#requireFree(target, call);
    }
    const md5 = (await md5Of(source)).toLowerCase();
    const content = contentOf(source, { onProgress: options.onProgress?.bind(options) });
    const holds = (node: Node): boolean => node.size === source.size && node.checksum?.toLowerCase() === md5;
    const lookup = async (lookupOptions: CallOptions): Promise<Node | undefined> => {
      const nodes = await this.#nodes.list(parentId, lookupOptions);
      const named = nodes.filter((node) => node.name === name);
      const found = (named.length > 0 ? named : nodes.filter((node) => mayCollide(node.name, name))).find(holds);
      // Another client may have taken the name since the last try, or stored a newer version. Another try would replace that.
      if (found === undefined) await this.#requireFree(target, lookupOptions);
      const base = found === undefined ? nodes.find(({ uuid }) => uuid === replaces?.id) : undefined;
      const now = base === undefined ? undefined : entryOf(base, parentId);
      if (now?.kind === 'file' && replaces !== undefined && !isSameRevision(now, replaces))
        throw new ProviderError('revision-changed', 'another client has stored a newer version', { data: {} });
      // The version that is being replaced may hold the same bytes: storing them again does no harm.
      return found !== undefined && found.uuid === replaces?.id && replaces.md5 === md5 ? undefined : found;
    };
    let node: Node;
    try {
      node = await this.#api.upload(parentId, { name, md5, content }, call, lookup);
    } catch (error) {
      this.#nodes.forgetFolder(parentId);
      const reason = await this.#nodes.clarified(error, { kind: 'folder', id: parentId }, call);
      throw await this.#orFull(reason, source.size - (replaces?.size ?? 0), call);
    }
    const file = await this.#verified(node, parentId, source.size, md5, call);
    // The new revision has a uuid of its own, and now holds the name.
    if (replaces !== undefined && replaces.id !== file.id) this.#nodes.forget({ ...replaces, parentId, name });
    options.onProgress?.(source.size);
    return file;
  }

  /** The document has no error for a full account: the answer is "no permission", as in many other cases. So compare with the quota. */
  async #orFull(error: unknown, bytes: number, call: CallOptions): Promise<unknown> {
    if (!(error instanceof ProviderError) || error.code !== 'permission') return error;
    const quota = await this.#quota(call);
    if (quota === null || bytes <= quota.free) return error;
    return new ProviderError('quota', error.message, { cause: error, data: { ...error.data } });
  }

  async #requireFree(target: UploadTarget, options: CallOptions): Promise<void> {
    const obstacle = await this.#obstacle(target, options);
    if (obstacle !== undefined) throw new ProviderError('exists', obstacle, { data: {} });
  }

  /** Why an upload to this name would overwrite another file than intended; undefined if it would not. */
  async #obstacle({ parentId, name, replaces }: UploadTarget, options: CallOptions): Promise<string | undefined> {
    const holder = await this.#nodes.holder(parentId, name, options, 'now', mayCollide);
    // Only the file that this upload replaces may get a revision, whatever the service does to the name.
    if (holder !== undefined && holder !== replaces?.id) return 'the name is taken, perhaps in another form';
    if (this.#nodes.isAmbiguous(parentId, name))
      return 'several files have this name, and the service replaces by name: rename one of them first';
    return undefined;
  }

  /** Checks the reported size and md5. Requests the node once more before it fails. */
  async #verified(
    answer: Node,
    parentId: string,
    size: number,
    md5: string,
    options: CallOptions,
  ): Promise<RemoteFile> {
    let node = answer;
    const isRight = (): boolean => node.size === size && (md5Text(node) === '' || md5Text(node) === md5);
    const isWhole = md5Text(node) !== '' && typeof node.size === 'number';
    if (!isRight() || !isWhole) {
      const listed = (await this.#nodes.list(parentId, options)).find((other) => other.uuid === answer.uuid);
      node = listed ?? answer;
    } else this.#nodes.remember(node, parentId);
    if (isRight()) return entryOf({ ...node, is_directory: false, parent_uuid: parentId }, parentId) as RemoteFile;
    throw new ProviderError('integrity', 'the server did not store what was sent', {
      data: { size, md5, storedSize: node.size, storedMd5: node.checksum },
    });
  }
}

function md5Text(node: Node): string {
  return node.checksum?.trim().toLowerCase() ?? '';
}

async function md5Of(source: UploadSource): Promise<string> {
  try {
    return await source.md5();
  } catch (cause) {
    throw new ProviderError('integrity', 'the content to upload could not be read', { cause, data: {} });
  }
}
