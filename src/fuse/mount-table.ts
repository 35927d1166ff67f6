/** The kernel's mount table, as proc_pid_mountinfo(5) describes it. */
import { readFile } from 'node:fs/promises';

export interface MountEntry {
  /** Unique among the existing mounts, so it distinguishes two mounts on the same directory. */
  readonly id: string;
  /** `major:minor`, as stat(2) shows it in st_dev. */
  readonly device: string;
  readonly mountpoint: string;
  /** The options of this mountpoint: `rw` or `ro`, `nosuid`, `relatime` and so on. */
  readonly flags: readonly string[];
  /** `fuse.syncmount` for ours. */
  readonly type: string;
  readonly source: string;
  /** The user whose process serves a FUSE mount; root for other types. */
  readonly owner: number;
}

/** Decodes spaces, tabs, newlines and backslashes, which the table writes as three octal digits. */
function decodeOctal(field: string): string {
  if (!field.includes('\\')) return field;
  const bytes = Buffer.from(field, 'utf8').toString('latin1');
  const plain = bytes.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  return Buffer.from(plain, 'latin1').toString('utf8');
}

export function parseMountInfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    // id parent major:minor root mountpoint flags [tags …] - type source super-options
    const [before, after] = line.split(' - ', 2);
    const [id, , device, , mountpoint, flags] = before?.split(' ') ?? [];
    const [type, source, options] = after?.split(' ') ?? [];
    if (
      id === undefined ||
      device === undefined ||
      mountpoint === undefined ||
      flags === undefined ||
      type === undefined ||
      source === undefined
    )
      continue;
    entries.push({
      id,
      device,
      mountpoint: decodeOctal(mountpoint),
      flags: flags.split(','),
      type,
      source: decodeOctal(source),
      owner: Number(/(?:^|,)user_id=(\d+)/.exec(options ?? '')?.[1] ?? 0),
    });
  }
  return entries;
}

export async function readMountTable(): Promise<MountEntry[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** The topmost mount at `mountpoint` (a later mount hides an earlier one), or undefined if nothing is mounted there. */
export async function mountAt(mountpoint: string): Promise<MountEntry | undefined> {
  return (await readMountTable()).findLast((entry) => entry.mountpoint === mountpoint);
}

/** Is the mount still in the table? Compares the mountpoint too, because the kernel reuses the ids of mounts. */
export async function isMounted({ id, mountpoint, type }: MountEntry): Promise<boolean> {
  const table = await readMountTable();
  return table.some((entry) => entry.id === id && entry.mountpoint === mountpoint && entry.type === type);
}
