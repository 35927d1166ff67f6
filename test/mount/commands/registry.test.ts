import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Registry } from '../../../src/mount/control/registry.js';

describe('the registry of mounts', () => {
  let state: string;
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'syncmount-registry-'));
  });
  afterEach(() => rmSync(state, { recursive: true, force: true }));

  const own = { mountpoint: '/mnt/a', account: 'work', provider: '4shared', socket: '/run/a.sock', log: null };

  it('finds what a process has registered, until it removes it', () => {
    const registry = new Registry({ state });
    registry.put(own);
    expect(registry.find('/mnt/a')).toMatchObject({ ...own, pid: process.pid });
    expect(registry.all()).toHaveLength(1);
    registry.remove('/mnt/a');
    expect(registry.all()).toEqual([]);
  });

  it.each([
    ['cut short', '{"mountpoint":'],
    ['no object', 'null'],
    ['without a log', JSON.stringify({ ...own, pid: 1, log: undefined })],
    ['of no process', JSON.stringify({ ...own, pid: 0 })],
    ['of half a process', JSON.stringify({ ...own, pid: 1.5 })],
    ['with a mark that is no text', JSON.stringify({ ...own, pid: 1, mark: null })],
    ['without a socket', JSON.stringify({ ...own, pid: 1, socket: null })],
  ])('does not know an entry that is %s', (_what, text) => {
    const registry = new Registry({ state });
    registry.put(own);
    const [file] = readdirSync(join(state, 'mounts'));
    writeFileSync(join(state, 'mounts', file as string), text);
    expect(registry.find('/mnt/a')).toBeUndefined();
    expect(registry.all()).toEqual([]);
  });
});
