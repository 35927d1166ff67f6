/** What `status` shows people, and how it is drawn on a terminal. */
import { describe, expect, it } from 'vitest';
import { version } from '../../src/base/installation.js';
import { drawn } from '../../src/cli/terminal/screen.js';
import { adviceFor, formatTime, isMoving, viewOf } from '../../src/cli/terminal/status-view.js';
import type { MountStatus, UploadStatus } from '../../src/mount/control/status.js';

const MIB = 1024 * 1024;

function mount(more: Partial<MountStatus> = {}): MountStatus {
  return {
    mountpoint: '/home/ann/cloud',
    account: 'work',
    provider: '4shared',
    pid: 12,
    version,
    binding: 'kernel',
    writeBack: true,
    readOnly: false,
    pending: [],
    failed: [],
    downloads: [],
    transferred: { sent: 0, received: 0 },
    cache: { bytes: 5 * MIB, limit: 100 * MIB, pinned: 0, hits: 1, misses: 2 },
    requests: { total: 7, byRoute: {} },
    ...more,
  };
}

const upload = (path: string, sent: number, size: number, state = 'uploading'): UploadStatus => ({
  path,
  sent,
  size,
  state,
});

const view = (now: Partial<MountStatus>, before?: Partial<MountStatus>): string[] =>
  viewOf({ at: 3000, mounts: [mount(now)] }, before === undefined ? null : { at: 1000, mounts: [mount(before)] });

describe('status for people', () => {
  it('is short where nothing happens', () => {
    expect(view({ quota: { total: 10 * MIB, free: 3 * MIB } })).toEqual([
      '/home/ann/cloud  work: (4shared), process 12, kernel binding',
      '  state     everything is stored',
      '  cache     5.0 MiB of 100.0 MiB, 1 hits, 2 misses',
      '  space     3.0 MiB free of 10.0 MiB',
      '  requests  7',
    ]);
  });

  it('says that the program was replaced under the mount, and what to do', () => {
    const line = /^ {2}VERSION {3}(.*) serves this mount, and (.*) is installed: unmount it, and mount it again$/;
    expect(line.exec(view({ version: '0.0.1' })[2] ?? '')?.slice(1)).toEqual(['0.0.1', version]);
    const { version: _, ...earlier } = mount();
    expect(line.exec(viewOf({ at: 1, mounts: [earlier] }, null)[2] ?? '')?.slice(1)).toEqual([
      'an earlier one',
      version,
    ]);
  });

  it('says that the service does not answer', () => {
    const since = Date.parse('2026-11-29T08:00:00');
    const outage = { since, error: 'no connection (ECONNREFUSED)' };
    expect(view({ outage }).slice(1, 3)).toEqual([
      '  state     offline, everything is stored',
      '  OFFLINE   4shared has not answered since 2026-11-29 08:00:00: no connection (ECONNREFUSED)',
    ]);
    expect(view({ outage, metadata: { pending: 2 } })[1]).toBe('  state     offline, metadata to store');
  });

  it('tells of uploads their progress, percent, rate and the time left, those under way first', () => {
    const lines = view(
      {
        pending: [upload('/waits', 0, 4 * MIB, 'queued'), upload('/photo.jpg', 3 * MIB, 4 * MIB)],
        transferred: { sent: 5 * MIB, received: 0 },
      },
      { pending: [upload('/photo.jpg', 1 * MIB, 4 * MIB)], transferred: { sent: 3 * MIB, received: 0 } },
    );
    expect(lines.slice(1, 5)).toEqual([
      '  state     uploading',
      '  upload    2 files, 3.0 MiB of 8.0 MiB, 37%, 1.0 MiB/s, 5 s left',
      '    uploading  /photo.jpg  3.0 MiB of 4.0 MiB, 75%, 1.0 MiB/s, 1 s left',
      '    queued     /waits      0 B of 4.0 MiB, 0%',
    ]);
  });

  it('tells of downloads the same, and no rate at the first look', () => {
    const film = (present: number): Pick<MountStatus, 'downloads'> => ({
      downloads: [{ path: '/film', size: 100 * MIB, present }],
    });
    expect(view(film(50 * MIB)).slice(1, 4)).toEqual([
      '  state     downloading',
      '  download  1 file',
      '    /film  50.0 MiB of 100.0 MiB, 50%',
    ]);
    const now = { ...film(50 * MIB), transferred: { sent: 0, received: 60 * MIB } };
    const then = { ...film(30 * MIB), transferred: { sent: 0, received: 40 * MIB } };
    expect(view(now, then).slice(2, 4)).toEqual([
      '  download  1 file, 10.0 MiB/s',
      '    /film  50.0 MiB of 100.0 MiB, 50%, 10.0 MiB/s, 5 s left',
    ]);
  });

  it('tells what to do about failures, each advice once, and shows ten of many', () => {
    const failed = Array.from({ length: 12 }, (_, n) => ({
      ...upload(`/f${n}`, 0, 10, 'failed'),
      code: n === 0 ? 'EFBIG' : 'ENOSPC',
      error: 'refused',
    }));
    const lines = view({ failed });
    expect(lines[1]).toBe('  state     12 files not stored: see below');
    expect(lines.filter((line) => line.includes('FAILED'))).toHaveLength(10);
    expect(lines).toContain('    and 2 more');
    expect(lines.filter((line) => line.includes('the account is full'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('no file so large'))).toHaveLength(1);
    expect(lines).toContain('    To try again: syncmount uploads retry /home/ann/cloud');
  });

  it.each([
    [{ pins: { pins: 1, files: 3, bytes: 100, missingFiles: 0, missingBytes: 0 } }, '3 files, 100 B, all here'],
    [
      { pins: { pins: 1, files: 3, bytes: 100, missingFiles: 1, missingBytes: 25, problem: 'offline' } },
      '2 of 3 files, 75 B of 100 B, 75% here (offline)',
    ],
  ])('tells of pins %j', (now, line) => {
    expect(view(now)).toContain(`  pinned    ${line}`);
  });

  it('takes a second look only where something is on its way', () => {
    expect(isMoving(mount())).toBe(false);
    expect(isMoving(mount({ pending: [upload('/a', 0, 1, 'queued')] }))).toBe(false);
    expect(isMoving(mount({ pending: [upload('/a', 0, 1)] }))).toBe(true);
    expect(isMoving(mount({ downloads: [{ path: '/a', size: 1, present: 0 }] }))).toBe(true);
  });

  it('mixes no mount with another of the same account that came since', () => {
    const now = { at: 2000, mounts: [mount({ pid: 13, downloads: [{ path: '/a', size: 4, present: 2 }] })] };
    expect(viewOf(now, { at: 1000, mounts: [mount()] })).toContain('  download  1 file');
  });

  it.each([
    [500, '1 s'],
    [89_000, '89 s'],
    [120_000, '2 min'],
    [2 * 3_600_000 + 300_000, '2 h 5 min'],
    [72 * 3_600_000, '3 days'],
  ])('%i ms are %s', (ms, text) => {
    expect(formatTime(ms)).toBe(text);
  });

  it('has an advice for each errno of an upload', () => {
    for (const code of ['ENOSPC', 'EDQUOT', 'EFBIG', 'EACCES', 'EPERM', 'EINVAL', 'EBUSY', 'ENETUNREACH', 'EIO'])
      expect(adviceFor(code)).toMatch(/^E[A-Z]+: .+\.$/);
  });
});

describe('a full screen', () => {
  it('is drawn in place, cut to its height, and shows no control character of a name', () => {
    expect(drawn(['one', 'a\x1b[31mb'], 24)).toBe('\x1b[Hone\x1b[K\r\na\\x1b[31mb\x1b[K\x1b[J');
    expect(drawn(['1', '2', '3', '4'], 3)).toBe('\x1b[H1\x1b[K\r\n2\x1b[K\r\nand 2 more lines\x1b[K\x1b[J');
    expect(drawn(['1', '2', '3'], 3)).toBe('\x1b[H1\x1b[K\r\n2\x1b[K\r\n3\x1b[K\x1b[J');
  });
});
