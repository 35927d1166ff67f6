/** The text of `syncmount status`: pure functions of the statuses of mounts, now and a moment ago. */
import { version as installed } from '../../base/installation.js';
import { localMinute, localTime } from '../../base/local-time.js';
import { shellWord } from '../../base/shell-word.js';
import { describeLimit } from '../../config/bandwidth-timetable.js';
import { formatCount, formatSize } from '../../config/units.js';
import type { PinStatus } from '../../filesystem/pins/pins.js';
import type { MountStatus, UploadStatus } from '../../mount/control/status.js';

/** The most files of one kind that are shown; `uploads list` and `--json` have all. */
const SHOWN = 10;

/** The statuses of mounts at one moment. */
export interface Sample {
  /** ms, by any clock that does not jump. */
  readonly at: number;
  readonly mounts: readonly MountStatus[];
}

/** The lines for people. `before`: an earlier sample, from which rates are computed; null: none are shown. */
export function viewOf(now: Sample, before: Sample | null): string[] {
  return now.mounts.flatMap((mount, at) => {
    const earlier = before?.mounts.find(({ pid }) => pid === mount.pid);
    const past = earlier === undefined || before === null ? null : { mount: earlier, ms: now.at - before.at };
    return [...(at === 0 ? [] : ['']), ...viewOfOne(mount, past)];
  });
}

/** Whether anything moves, so that a second sample gives a rate. */
export function isMoving({ pending, downloads, pins }: MountStatus): boolean {
  return pending.some(isUnderway) || downloads.length > 0 || (pins !== undefined && pins.missingFiles > 0);
}

interface Past {
  readonly mount: MountStatus;
  readonly ms: number;
}

function viewOfOne(status: MountStatus, past: Past | null): string[] {
  const { mountpoint, account, provider, pid, binding, cache, pins, requests, quota, rateLimit, version } = status;
  const { paused, excluded = [], limits, kept = [], metadata, login, outage } = status;
  const lines = [
    `${mountpoint}  ${account}: (${provider}), process ${pid}, ${binding} binding`,
    `  state     ${stateOf(status)}`,
  ];
  if (login !== undefined) lines.push(`  LOGIN     the provider refuses the credentials. Run: ${login}`);
  if (version !== installed)
    lines.push(
      `  VERSION   ${version ?? 'an earlier one'} serves this mount, and ${installed} is installed: unmount it, and mount it again`,
    );
  if (outage !== undefined)
    lines.push(`  OFFLINE   ${provider} has not answered since ${localTime(outage.since)}: ${outage.error}`);
  if (paused) lines.push(`  PAUSED    nothing is uploaded until: syncmount resume ${shellWord(mountpoint)}`);
  lines.push(...uploadLines(status, past), ...downloadLines(status, past), ...failureLines(status));
  for (const { path, size } of excluded) lines.push(`  excluded  ${path}  ${formatSize(size)}  stays on this machine`);
  if (metadata !== undefined && metadata.pending > 0)
    lines.push(
      `  metadata  ${formatCount(metadata.pending, 'change')} not in the account yet${because(metadata.error)}`,
    );
  for (const machine of metadata?.refused ?? [])
    lines.push(`  METADATA  of machine ${machine} is of a later version: update syncmount`);
  if (pins !== undefined) lines.push(`  pinned    ${pinsLine(pins)}`);
  lines.push(
    `  cache     ${formatSize(cache.bytes)}${cache.isCounting ? ' so far' : ''} of ${formatSize(cache.limit)}, ${cache.hits} hits, ${cache.misses} misses`,
  );
  if (quota !== undefined) lines.push(`  space     ${formatSize(quota.free)} free of ${formatSize(quota.total)}`);
  lines.push(`  requests  ${requests.total}${rateLimit === undefined ? '' : `, ${leftOf(rateLimit)}`}`);
  if (rateLimit?.refused !== undefined) lines.push(`  REFUSED   ${rateLimit.refused}`);
  if (limits !== undefined) lines.push(...describeLimits(limits));
  for (const { path, was } of kept) lines.push(`  KEPT      ${path}  an old version of ${was}`);
  if (kept.length > 0) lines.push(`  ${provider} does not delete what is kept. It can be removed at its website.`);
  return lines;
}

/** One word or two, the most urgent first. */
function stateOf({ login, failed, paused, pending, downloads, metadata, outage }: MountStatus): string {
  if (login !== undefined) return 'needs a login';
  const parts = [
    ...(failed.length > 0 ? [`${formatCount(failed.length, 'file')} not stored: see below`] : []),
    ...(paused ? ['paused'] : pending.length > 0 ? ['uploading'] : []),
    ...((metadata?.pending ?? 0) > 0 ? ['metadata to store'] : []),
    ...(downloads.length > 0 ? ['downloading'] : []),
  ];
  const offline = outage === undefined ? [] : ['offline'];
  return [...offline, ...(parts.length === 0 ? ['everything is stored'] : parts)].join(', ');
}

function uploadLines({ pending, paused, transferred }: MountStatus, past: Past | null): string[] {
  if (pending.length === 0) return [];
  const size = sum(pending.map((upload) => upload.size));
  const sent = sum(pending.map(sentOf));
  const rate = paused ? null : rateOf(transferred.sent, past?.mount.transferred.sent, past);
  const total = `  upload    ${[formatCount(pending.length, 'file'), ...progressOf({ done: sent, size, rate })].join(', ')}`;
  const sorted = [...pending].sort((a, b) => Number(isUnderway(b)) - Number(isUnderway(a)));
  const rows = sorted.slice(0, SHOWN).map((upload) => {
    const earlier = past?.mount.pending.find(({ path }) => path === upload.path);
    const own = isUnderway(upload) && earlier !== undefined ? rateOf(upload.sent, earlier.sent, past) : null;
    const { path, state } = upload;
    return [state, path, progressOf({ done: sentOf(upload), size: upload.size, rate: own }).join(', ')];
  });
  return [total, ...table(rows), ...andMore(pending.length)];
}

function downloadLines({ downloads, transferred }: MountStatus, past: Past | null): string[] {
  if (downloads.length === 0) return [];
  const rate = rateOf(transferred.received, past?.mount.transferred.received, past);
  const total = `  download  ${[formatCount(downloads.length, 'file'), ...(rate === null ? [] : [speed(rate)])].join(', ')}`;
  const rows = downloads.slice(0, SHOWN).map(({ path, size, present }) => {
    const earlier = past?.mount.downloads.find((download) => download.path === path);
    const own = earlier === undefined ? null : rateOf(present, earlier.present, past);
    return ['', path, progressOf({ done: present, size, rate: own }).join(', ')];
  });
  return [total, ...table(rows), ...andMore(downloads.length)];
}

function failureLines({ failed, mountpoint }: MountStatus): string[] {
  if (failed.length === 0) return [];
  const rows = failed.slice(0, SHOWN).map(({ path, size, code, error }) => {
    return ['FAILED', path, `${formatSize(size)}  ${code}: ${error}`];
  });
  const advice = new Set(failed.map(({ code }) => adviceFor(code)));
  return [
    `  failed    ${formatCount(failed.length, 'file')}, kept on this machine`,
    ...table(rows),
    ...andMore(failed.length),
    ...[...advice].map((what) => `    ${what}`),
    `    To try again: syncmount uploads retry ${shellWord(mountpoint)}`,
    `    To copy them out or give them up: syncmount uploads export DIR, syncmount uploads discard`,
  ];
}

/** The user's remedy for a failed upload, by the errno that the program got. */
export function adviceFor(code: string | undefined): string {
  switch (code) {
    case 'ENOSPC':
      return 'ENOSPC: the account is full, or the disk of this machine. Free space there (the trash of an account may count).';
    case 'EDQUOT':
      return 'EDQUOT: a limit of the plan is reached, such as of files in a folder. Remove or move some.';
    case 'EFBIG':
      return 'EFBIG: the service takes no file so large. Split it, or keep it elsewhere.';
    case 'EACCES':
    case 'EPERM':
      return `${code}: the service refuses it. The folder may be shared read-only, or the name not allowed.`;
    case 'EINVAL':
    case 'ENAMETOOLONG':
      return `${code}: the service takes no such name. Rename the file in the mount.`;
    case 'EBUSY':
      return 'EBUSY: the requests of this hour are used up. It goes on by itself in the next one.';
    case 'ENETUNREACH':
      return 'ENETUNREACH: the service was out of reach. Try again when the network is back.';
    default:
      return `${code ?? 'EIO'}: the service failed. Try again later; syncmount doctor looks for the reason.`;
  }
}

interface Progress {
  readonly done: number;
  readonly size: number;
  /** Bytes a second; null: not known. */
  readonly rate: number | null;
}

/** `1.2 MiB of 3.0 MiB`, `40%`, `1.0 MiB/s`, `2 s left`, without the parts that make no sense. */
function progressOf({ done, size, rate }: Progress): string[] {
  const percent = size === 0 ? 100 : Math.floor((done / size) * 100);
  const isMoving = rate !== null && rate > 0;
  return [
    `${formatSize(done)} of ${formatSize(size)}`,
    `${percent}%`,
    ...(rate === null ? [] : [speed(rate)]),
    ...(isMoving && done < size ? [`${formatTime(((size - done) / rate) * 1000)} left`] : []),
  ];
}

/** Bytes a second between two samples. Null without an earlier one. */
function rateOf(now: number, then: number | undefined, past: Past | null): number | null {
  if (past === null || then === undefined || past.ms <= 0) return null;
  return Math.max(0, ((now - then) / past.ms) * 1000);
}

function speed(rate: number): string {
  return `${formatSize(Math.round(rate))}/s`;
}

/** ms for people: `5 s`, `3 min`, `2 h 5 min`. */
export function formatTime(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

function isUnderway({ state }: UploadStatus): boolean {
  return state === 'uploading';
}

/** A service may have reported more bytes than there are. */
function sentOf({ size, sent }: UploadStatus): number {
  return Math.min(size, sent);
}

/** Columns side by side, each as wide as its longest text. The last one is as long as it is. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => {
    const last = row.length - 1;
    const cells = row.map((cell, column) => (column === last ? cell : cell.padEnd(Math.min(60, widths[column] ?? 0))));
    return `    ${cells.filter((_, column) => widths[column] !== 0).join('  ')}`;
  });
}

function andMore(count: number): string[] {
  return count > SHOWN ? [`    and ${count - SHOWN} more`] : [];
}

function leftOf({ limit, remaining, resetAt }: NonNullable<MountStatus['rateLimit']>): string {
  const left = limit === 0 ? 'no requests' : `${remaining} of ${limit} requests`;
  return `${left} left until ${localTime(resetAt)}`;
}

function pinsLine({ files, bytes, missingFiles, missingBytes, problem }: PinStatus): string {
  if (missingFiles === 0 && problem === undefined)
    return `${formatCount(files, 'file')}, ${formatSize(bytes)}, all here`;
  const here = `${files - missingFiles} of ${formatCount(files, 'file')}`;
  const [, percent] = progressOf({ done: bytes - missingBytes, size: bytes, rate: null });
  return `${here}, ${formatSize(bytes - missingBytes)} of ${formatSize(bytes)}, ${percent} here${because(problem)}`;
}

function describeLimits({ down, up, until, transfers, exclude }: NonNullable<MountStatus['limits']>): string[] {
  const lines: string[] = [];
  const end = until === undefined ? '' : ` until ${localMinute(until)}`;
  if (down !== undefined || up !== undefined || until !== undefined)
    lines.push(`  bandwidth ${describeLimit({ down: down ?? null, up: up ?? null })}${end}`);
  if (transfers !== undefined) lines.push(`  transfers ${transfers} at a time`);
  if (exclude !== undefined) lines.push(`  exclude   ${exclude.join('  ')}`);
  return lines;
}

function because(error: string | undefined): string {
  return error === undefined ? '' : ` (${error})`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
