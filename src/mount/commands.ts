/** What the commands of people do with the file system of a mount. Those that begin and end a mount are in mount-session.ts. */
import { SyncmountError } from '../base/errors.js';
import type { CloudFilesystem } from '../filesystem/cloud-filesystem.js';
import type { ControlArguments, ControlCommand } from './control.js';

/** `given` aborts when the command has ended before its answer. Throws `usage` for an unknown command. */
export async function answerCommand(
  filesystem: CloudFilesystem,
  command: ControlCommand,
  { paths = [], names = [], query = '', wish = { act: 'show' }, email, rights }: ControlArguments,
  progress: (what: unknown) => void,
  given: AbortSignal,
): Promise<unknown> {
  const { uploader, trash, inspection, pins, cached } = filesystem;
  switch (command) {
    case 'retry-uploads':
      return filesystem.retryFailed();
    case 'pause-uploads':
      return uploader.pause();
    case 'resume-uploads':
      return uploader.resume();
    case 'spooled':
      return await filesystem.spooled();
    case 'discard-uploads':
      return await filesystem.discarding.discard(paths, filesystem.root);
    case 'trash-list':
      return await trash.list();
    case 'trash-restore':
      return await trash.restoreNamed(names);
    case 'trash-empty':
      return await trash.removeNamed(names, progress);
    case 'info':
      return await Promise.all(paths.map((path) => inspection.info(path)));
    case 'search':
      return await inspection.search(query);
    case 'search-remote':
      return await inspection.searchRemote(query);
    case 'link':
      return await inspection.link(paths[0] ?? '/', wish);
    case 'members':
      return await inspection.members(paths[0] ?? '/');
    case 'share':
      if (email === undefined || rights === undefined) throw new SyncmountError('usage', 'with whom is not said');
      return await inspection.share(paths[0] ?? '/', email, rights);
    case 'pin':
      return await pins.pin(paths);
    case 'unpin':
      return await pins.unpin(paths);
    case 'pin-list':
      return await pins.list();
    case 'cache-list':
      return await cached.list();
    case 'cache-drop':
      return await cached.drop(paths);
    case 'cache-warm':
      return await cached.warm(paths, progress, given);
    default:
      throw new SyncmountError('usage', 'unknown command');
  }
}
