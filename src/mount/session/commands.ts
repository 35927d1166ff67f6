/** Carries out commands of users on the file system of a mount. Those that end a mount are in session-end.ts. */
import type { Clock } from '../../base/clock.js';
import { codeOf, messageOf, SyncmountError } from '../../base/errors.js';
import type { CloudFilesystem } from '../../filesystem/cloud-filesystem.js';
import type { ObjectInfo } from '../../filesystem/inspect/inspection.js';
import type { Provider } from '../../providers/provider.js';
import type { ControlArguments, ControlCommand } from '../control/control.js';
import { PATIENCE_MS, withPatience } from './patience.js';

/** The patience of a command that fetches for hours, ms: a short outage does not end it. */
const LONG_PATIENCE_MS = 60_000;
/** The patience of a question whose answer is mostly here, ms. */
const SHORT_PATIENCE_MS = 1000;
const isLocal: ReadonlySet<ControlCommand> = new Set([
  ...(['retry-uploads', 'pause-uploads', 'resume-uploads', 'spooled', 'discard-uploads'] as const),
  ...(['search', 'pin-list', 'cache-list'] as const),
]);

/** As `carryOut`; gives up with `network` if the service does not answer. */
export async function answerCommand(
  service: { readonly provider: Provider; readonly clock: Clock },
  filesystem: CloudFilesystem,
  command: ControlCommand,
  args: ControlArguments,
  progress: (what: unknown) => void,
  given: AbortSignal,
): Promise<unknown> {
  // These commands are about files on this machine, and must end however long the service is unreachable.
  if (command === 'info') return await informed(service, filesystem, args.paths ?? [], given);
  if (isLocal.has(command)) return await carryOut(filesystem, command, args, progress, given);
  const patienceMs = command === 'cache-warm' ? LONG_PATIENCE_MS : PATIENCE_MS;
  return await withPatience(service, patienceMs, given, (signal) =>
    carryOut(filesystem, command, args, progress, signal),
  );
}

/** All that is known of objects. If the service does not answer, all that is known of them here, with the reason. */
async function informed(
  service: { readonly provider: Provider; readonly clock: Clock },
  { inspection }: CloudFilesystem,
  paths: readonly string[],
  given: AbortSignal,
): Promise<ObjectInfo[]> {
  const known = (reason: string): ObjectInfo[] | null => {
    const infos = paths.map((path) => inspection.known(path));
    return infos.some((info) => info === null)
      ? null
      : infos.map((info) => ({ ...(info as ObjectInfo), unanswered: reason }));
  };
  const { outage } = service.provider.metrics();
  const atOnce = outage === null ? null : known(`${service.provider.name} does not answer: ${outage.error}`);
  if (atOnce !== null) return atOnce;
  try {
    return await withPatience(service, SHORT_PATIENCE_MS, given, () =>
      Promise.all(paths.map((path) => inspection.info(path))),
    );
  } catch (error) {
    const infos = given.aborted || codeOf(error) === 'ENOENT' ? null : known(messageOf(error));
    if (infos === null) throw error;
    return infos;
  }
}

/** `given` aborts when nobody waits for the answer any longer. Throws `usage` for an unknown command. */
async function carryOut(
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
      return await trash.list(given);
    case 'trash-restore':
      return await trash.restoreNamed(names, progress, given);
    case 'trash-empty':
      return await trash.removeNamed(names, progress, given);
    case 'search':
      return await inspection.search(query);
    case 'search-remote':
      return await inspection.searchRemote(query, given);
    case 'link':
      return await inspection.link(paths[0] ?? '/', wish, given);
    case 'members':
      return await inspection.members(paths[0] ?? '/', given);
    case 'share':
      if (email === undefined || rights === undefined) throw new SyncmountError('usage', 'with whom is not said');
      return await inspection.share(paths[0] ?? '/', email, rights, given);
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
