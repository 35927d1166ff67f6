import { UsageError } from '../base/errors.js';

const sizeUnits: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };
const timeUnits: Readonly<Record<string, number>> = {
  ms: 1,
  '': 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `10G`, `512M`, `1.5T`, `4096`: bytes, in powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const unit = match === null ? undefined : sizeUnits[(match[2] ?? '').toUpperCase()];
  if (match === null || unit === undefined) throw new UsageError(`'${text}' is not a size (such as 512M or 10G)`);
  return Math.floor(Number(match[1]) * unit);
}

/** `60s`, `5m`, `250ms`, `30` (seconds): ms. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|[smhd]?)$/i.exec(text.trim());
  const unit = match === null ? undefined : timeUnits[(match[2] ?? '').toLowerCase()];
  if (match === null || unit === undefined) throw new UsageError(`'${text}' is not a time (such as 60s or 5m)`);
  return Math.round(Number(match[1]) * unit);
}

/** Bytes for people: `12.3 MiB`. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}

/** `1 file`, `2 files`. */
export function formatCount(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
