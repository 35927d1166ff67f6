/**
 * The last steps of a chunked upload: the verified file gets its name and, for a new version, takes the old one's
 * place. No step destroys what the next one needs, and each can be repeated:
 *
 *     aside      NAME → .syncmount-….old      the old version, under another name
 *     naming     .syncmount-….part → NAME     fails: the old one gets its name back
 *     disposing  .syncmount-….old goes
 */
import { messageOf } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client/call.js';
import type { RemoteEntry, RemoteFile, UploadOptions, UploadTarget } from '../provider.js';
import { isSameRevision } from '../revision.js';
import type { FourSharedApi } from './api.js';
import { announce, type ChunkedCheckpoint } from './checkpoint.js';
import { toFile } from './entities.js';
import { orGone } from './find.js';
import type { Namespace } from './namespace.js';

/** Errors that may be temporary. After one of them the upload must be resumed later, not forgotten. */
const temporaryErrors = new Set(['network', 'timeout', 'server', 'rate-limited', 'aborted', 'protocol', 'auth']);

export async function finishUpload(
  api: FourSharedApi,
  namespace: Namespace,
  settings: { readonly disposal: 'trash' | 'permanent' },
  log: Log,
  target: UploadTarget,
  uploaded: ChunkedCheckpoint,
  options: UploadOptions,
  verified?: RemoteFile,
): Promise<RemoteFile> {
  const { signal, priority, waitBudget } = options;
  const call: CallOptions = { signal, priority, waitBudget };
  const newId = uploaded.newId ?? uploaded.uploadId ?? '';
  let file = verified ?? (await storedFile(api, newId, uploaded.parentId, call));
  let checkpoint: ChunkedCheckpoint = { ...uploaded, newId };
  const oldId = checkpoint.oldId ?? target.replaces?.id;

  if (oldId === undefined || oldId === newId) {
    if (file.name === target.name && file.parentId === target.parentId) return file;
    checkpoint = { ...checkpoint, phase: 'uploaded' };
    await announce(options, checkpoint);
    return (await namespace.move(file, target, call)) as RemoteFile;
  }

  const oldName = checkpoint.oldName ?? target.replaces?.name ?? target.name;
  const asideName = checkpoint.asideName ?? `.syncmount-${newId.replace(/[^\w-]/g, '')}.old`;
  checkpoint = { ...checkpoint, oldId, oldName, asideName };
  if (checkpoint.phase !== 'disposing') {
    // A large content takes minutes to send: another client may have stored a newer version meanwhile.
    const old = await orGone(namespace.stat('file', oldId, call));
    if (old !== undefined && old.name !== asideName && target.replaces?.id === oldId)
      requireSameRevision(old, target.replaces);
    checkpoint = { ...checkpoint, phase: 'aside' };
    await announce(options, checkpoint);
    const aside = old === undefined ? undefined : await orGone(renamed(namespace, old, asideName, call));
    checkpoint = { ...checkpoint, phase: 'naming' };
    await announce(options, checkpoint);
    try {
      if (file.name !== target.name || file.parentId !== target.parentId)
        file = (await namespace.move(file, target, call)) as RemoteFile;
    } catch (error) {
      const phase =
        aside === undefined ? 'uploaded' : await undo(namespace, { aside, oldName, file, target }, call, log);
      await announce(options, { ...checkpoint, phase });
      throw error;
    }
    checkpoint = { ...checkpoint, phase: 'disposing' };
    await announce(options, checkpoint);
  }
  // A resume may bring a new target.
  if (file.name !== target.name || file.parentId !== target.parentId)
    file = (await namespace.move(file, target, call)) as RemoteFile;
  await dispose(namespace, settings.disposal, oldId, log, call);
  return file;
}

/**
 * Ends a replacement that will not be resumed. If the new version has the name, the old one is disposed of; else the old
 * version gets its name back.
 */
export async function settleReplaced(
  namespace: Namespace,
  disposal: 'trash' | 'permanent',
  { oldId = '', oldName, asideName }: ChunkedCheckpoint,
  isReplaced: boolean,
  log: Log,
  options: CallOptions,
): Promise<void> {
  const old = await orGone(namespace.stat('file', oldId, options));
  if (old === undefined || old.name !== asideName) return;
  if (isReplaced) await dispose(namespace, disposal, oldId, log, options);
  else if (oldName !== undefined) await namespace.rename(old, oldName, options);
}

async function storedFile(api: FourSharedApi, id: string, parentId: string, options: CallOptions): Promise<RemoteFile> {
  const response = await api.file(id, options);
  const file = toFile(response, response.parentId ?? parentId, 'write');
  if (file === undefined) throw new ProviderError('protocol', 'the stored file has no size', { data: {} });
  return file;
}

async function renamed(
  namespace: Namespace,
  old: RemoteEntry,
  name: string,
  options: CallOptions,
): Promise<RemoteEntry> {
  return old.name === name ? old : await namespace.rename(old, name, options);
}

/** Throws `revision-changed` if another client has stored a newer version of a file that is about to be replaced. */
export function requireSameRevision(now: RemoteEntry, replaced: RemoteFile): void {
  if (now.kind === 'file' && isSameRevision(now, replaced)) return;
  throw new ProviderError('revision-changed', 'another client has stored a newer version', { data: {} });
}

interface HalfReplaced {
  /** The old version, under another name. */
  readonly aside: RemoteEntry;
  readonly oldName: string;
  /** The new version, and the name that it should have taken. */
  readonly file: RemoteFile;
  readonly target: UploadTarget;
}

/**
 * Gives the old version its name back. Resolves with the phase that the replacement is in then. The server may have carried
 * out a naming that was cancelled, or whose answer was lost: then only the old version must be disposed of.
 */
async function undo(
  namespace: Namespace,
  { aside, oldName, file, target }: HalfReplaced,
  { priority }: CallOptions,
  log: Log,
): Promise<ChunkedCheckpoint['phase']> {
  // The caller's signal may have ended the naming, but it must not cancel the undoing.
  const call: CallOptions = { priority };
  try {
    await namespace.rename(aside, oldName, call);
    return 'uploaded';
  } catch (error) {
    log.info({ id: aside.id, error: messageOf(error) }, 'the replaced version did not get its name back');
  }
  try {
    const named = await namespace.stat('file', file.id, call);
    if (named.name === target.name && named.parentId === target.parentId) return 'disposing';
  } catch (error) {
    log.info({ id: file.id, error: messageOf(error) }, 'it is not known whether the new version has the name');
  }
  log.error({ id: aside.id }, 'the replaced version could not get its name back; the next try repairs it');
  return 'naming';
}

/** Disposes of the old version. A permanent failure is only logged: the new content is stored and has its name. */
async function dispose(
  namespace: Namespace,
  disposal: 'trash' | 'permanent',
  oldId: string,
  log: Log,
  options: CallOptions,
): Promise<void> {
  try {
    const old = await orGone(namespace.stat('file', oldId, options));
    if (old === undefined) return;
    await orGone<unknown>(disposal === 'trash' ? namespace.trash(old, options) : namespace.remove(old, options));
  } catch (error) {
    if (error instanceof ProviderError && temporaryErrors.has(error.code)) throw error;
    log.warn({ id: oldId }, 'the replaced version could not be disposed of');
  }
}
