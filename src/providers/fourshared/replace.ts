/**
 * The last steps of a chunked upload: the verified file gets its name and, for a new version, takes the old one's
 * place. No step destroys what the next one needs, and each can be repeated:
 *
 *     aside      NAME → .syncmount-….old      the old version, under another name
 *     naming     .syncmount-….part → NAME     fails: the old one gets its name back
 *     disposing  .syncmount-….old goes
 */
import type { Log } from '../../base/log.js';
import { ProviderError } from '../errors.js';
import type { CallOptions } from '../http/client.js';
import type { RemoteEntry, RemoteFile, UploadOptions, UploadTarget } from '../provider.js';
import type { FourSharedApi } from './api.js';
import { announce, type ChunkedCheckpoint } from './checkpoint.js';
import { toFile } from './entities.js';
import { orGone } from './find.js';
import type { Namespace } from './namespace.js';

/** Errors that a later try may not meet: the upload is then to be resumed, not forgotten. */
const passing = new Set(['network', 'timeout', 'server', 'rate-limited', 'aborted', 'protocol', 'auth']);

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
  const call: CallOptions = { signal: options.signal, priority: options.priority };
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
    checkpoint = { ...checkpoint, phase: 'aside' };
    await announce(options, checkpoint);
    const aside = await orGone(renameById(namespace, oldId, asideName, call));
    checkpoint = { ...checkpoint, phase: 'naming' };
    await announce(options, checkpoint);
    try {
      if (file.name !== target.name || file.parentId !== target.parentId)
        file = (await namespace.move(file, target, call)) as RemoteFile;
    } catch (error) {
      // The caller's signal may be what ended the step before; undoing it must not be cancelled with it.
      if (aside !== undefined) await undo(namespace, aside, oldName, call.priority, log);
      checkpoint = { ...checkpoint, phase: 'uploaded' };
      await announce(options, checkpoint);
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

/** Ends a replacement that nobody resumes: the old version goes where the new one has its name, else it gets that back. */
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

async function renameById(namespace: Namespace, id: string, name: string, options: CallOptions): Promise<RemoteEntry> {
  const old = await namespace.stat('file', id, options);
  return old.name === name ? old : await namespace.rename(old, name, options);
}

async function undo(
  namespace: Namespace,
  aside: RemoteEntry,
  name: string,
  priority: CallOptions['priority'],
  log: Log,
): Promise<void> {
  try {
    await namespace.rename(aside, name, { priority });
  } catch {
    log.error({ id: aside.id }, 'the replaced version could not get its name back; resuming the upload mends it');
  }
}

/** A leftover that cannot be disposed of is no reason to call the upload failed: its content is stored and named. */
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
    if (error instanceof ProviderError && passing.has(error.code)) throw error;
    log.warn({ id: oldId }, 'the replaced version could not be disposed of');
  }
}
