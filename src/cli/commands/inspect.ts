/** `syncmount link`, `share`, `search` and `info`: requests of users about objects of a mounted account. */
import { SyncmountError, UsageError } from '../../base/errors.js';
import { localMinute } from '../../base/local-time.js';
import { formatSize, parseDuration } from '../../config/units.js';
import type { Found, ObjectInfo } from '../../filesystem/inspect/inspection.js';
import { askControl } from '../../mount/control/control.js';
import type { LinkRequest, Member, RemoteLink } from '../../providers/provider.js';
import { type Context, mountNamed } from '../context.js';
import { complain, print, printJson, printPicture } from '../terminal/output.js';
import { askHidden, requireTerminal } from '../terminal/prompts.js';
import { meant } from './trash.js';

const DAY_MS = 86_400_000;

interface LinkOptions {
  readonly list?: boolean;
  readonly remove?: boolean;
  readonly password?: boolean;
  readonly expires?: string;
  readonly qr?: boolean;
  readonly json?: boolean;
}

export async function linkCommand({ registry }: Context, path: string, options: LinkOptions): Promise<void> {
  if (options.list && options.remove) throw new UsageError('--list and --remove exclude each other');
  const act = options.remove ? 'remove' : options.list ? 'show' : 'create';
  if (act !== 'create' && (options.password || options.expires !== undefined))
    throw new UsageError('--password and --expires are for a new link');
  if (options.qr && (options.json || options.remove)) throw new UsageError('--qr shows a link to people');
  if (options.qr && !process.stdout.isTTY) throw new UsageError('--qr draws on a terminal');
  const { entry, paths } = meant(registry, [path]);
  const wish: LinkRequest = {
    act,
    ...(options.expires === undefined ? {} : { days: daysOf(options.expires) }),
    ...(options.password ? { password: await newPassword() } : {}),
  };
  const link = (await askControl(entry.socket, 'link', { paths, wish })) as RemoteLink;
  if (options.json) return printJson(link);
  if (!link.isPublic) return print(act === 'create' && link.url !== null ? link.url : 'Not shared by a link.');
  const notes = [
    ...(link.hasPassword ? ['with a password'] : []),
    ...(link.expires === undefined ? [] : [`until ${localMinute(link.expires)}`]),
  ];
  print(link.url ?? 'Shared, but the service tells no address.', ...notes);
  if (options.qr && link.url !== null) await draw(link.url);
}

async function draw(url: string): Promise<void> {
  const { qrCode } = await import('../terminal/qr.js');
  const { width, lines } = qrCode(url);
  const { columns } = process.stdout;
  if (width > columns) complain(`the code needs ${width} columns, and the terminal has ${columns}`);
  else printPicture(lines);
}

/** Links end after whole days. Throws `UsageError`. */
function daysOf(text: string): number {
  const days = Math.ceil(parseDuration(text) / DAY_MS);
  if (days < 1) throw new UsageError(`'${text}' is no time from 1d on`);
  return days;
}

async function newPassword(): Promise<string> {
  requireTerminal('the password is asked for');
  const password = await askHidden('Password of the link (not shown): ');
  if (password === '') throw new SyncmountError('kept', 'no password was given: nothing was shared');
  return password;
}

interface ShareOptions {
  readonly readOnly?: boolean;
  readonly mayInvite?: boolean;
  readonly seesMembers?: boolean;
  readonly json?: boolean;
}

/** Shares a folder with the given people, if any, and lists those with whom it is shared. */
export async function shareCommand(
  { registry }: Context,
  path: string,
  emails: readonly string[],
  options: ShareOptions,
): Promise<void> {
  const { readOnly = false, mayInvite = false, seesMembers = false, json } = options;
  for (const email of emails)
    if (!/^[^@\s]+@[^@\s]+$/.test(email)) throw new UsageError(`'${email}' is no e-mail address`);
  if (emails.length === 0 && (readOnly || mayInvite || seesMembers))
    throw new UsageError('say with whom, or give no option to see with whom it is shared');
  const { entry, paths } = meant(registry, [path]);
  const rights = { readOnly, canInvite: mayInvite, canViewMembers: seesMembers };
  for (const email of emails) await askControl(entry.socket, 'share', { paths, email, rights });
  const members = (await askControl(entry.socket, 'members', { paths })) as readonly Member[];
  if (json) return printJson(members);
  if (members.length === 0) print('Shared with nobody.');
  for (const { email, name, role, ...may } of members) {
    const notes = [
      may.readOnly ? 'reads' : 'reads and writes',
      ...(may.canInvite ? ['invites others'] : []),
      ...(may.canViewMembers ? ['sees the members'] : []),
    ];
    print(email ?? name ?? '?', role, notes.join(', '));
  }
}

interface SearchOptions {
  readonly remote?: boolean;
  readonly json?: boolean;
}

export async function searchCommand(
  { registry }: Context,
  words: readonly string[],
  options: SearchOptions,
): Promise<void> {
  const [first = '', ...rest] = words;
  const isMount = rest.length > 0 && isMountName({ registry }, first);
  const { entry } = meant(registry, isMount ? [first] : []);
  const query = (isMount ? rest : words).join(' ');
  const command = options.remote ? 'search-remote' : 'search';
  const found = (await askControl(entry.socket, command, { query })) as readonly Found[];
  if (options.json) printJson(found);
  else
    for (const { path, size, kind, modified } of found)
      print(localMinute(modified), size === null ? kind : formatSize(size), path);
  // As in grep(1), no match is no success.
  if (found.length === 0) process.exitCode = 1;
}

function isMountName({ registry }: Pick<Context, 'registry'>, word: string): boolean {
  const { entry, path } = mountNamed({ registry }, word);
  return entry !== undefined && path === '';
}

export async function infoCommand(
  { registry }: Context,
  given: readonly string[],
  options: { readonly json?: boolean },
): Promise<void> {
  const { entry, paths } = meant(registry, given);
  const asked = paths.length === 0 ? ['/'] : paths;
  const infos = (await askControl(entry.socket, 'info', { paths: asked })) as readonly ObjectInfo[];
  if (options.json) return printJson(infos);
  for (const info of infos) for (const [name, value] of linesOf(info)) print(`${name.padEnd(9)} ${value}`);
}

function linesOf({
  path,
  kind,
  size,
  modified,
  inode,
  mode,
  uid,
  gid,
  links,
  remote,
  cached,
  pinned,
  upload,
  unanswered,
}: ObjectInfo): [string, string][] {
  return [
    ['path', path],
    ['kind', kind],
    ...(size === null ? [] : [['size', `${size} (${formatSize(size)})`] as [string, string]]),
    ['modified', localMinute(modified)],
    ['inode', `${inode}, ${links} links, mode ${mode}, owner ${uid}:${gid}`],
    [
      'service',
      remote === null ? 'not stored there' : `id ${remote.id} in ${remote.parentId ?? '-'}, ${remote.access}`,
    ],
    ...(remote?.md5 == null ? [] : [['md5', remote.md5] as [string, string]]),
    ...(cached === null ? [] : [['cached', cached ? 'yes' : 'not all'] as [string, string]]),
    ...(pinned ? [['pinned', 'yes'] as [string, string]] : []),
    ...(upload === undefined
      ? []
      : [['upload', [upload.state, upload.error ?? ''].join(' ').trim()] as [string, string]]),
    ...(unanswered === undefined ? [] : [['OFFLINE', `${unanswered}. This is what is known here`] as [string, string]]),
  ];
}
