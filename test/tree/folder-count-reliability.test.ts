import { describe, expect, it } from 'vitest';
import type { RemoteEntry, RemoteFolder } from '../../src/providers/provider.js';
import { FolderCountReliability } from '../../src/tree/folder-count-reliability.js';

const folder = (fileCount: number | null, folderCount: number | null): RemoteFolder => ({
  kind: 'folder',
  id: 'f',
  parentId: 'r',
  name: 'f',
  modified: 0,
  access: 'write',
  fileCount,
  folderCount,
});
const file: RemoteEntry = {
  kind: 'file',
  id: 'a',
  parentId: 'f',
  name: 'a',
  size: 0,
  modified: 0,
  md5: null,
  access: 'write',
};

describe('the reliability of folder counts', () => {
  it('is not given to a server that never reported a count above 0', () => {
    const counts = new FolderCountReliability();
    counts.observe(folder(null, null), [folder(0, 0), folder(0, 0)], false);
    expect(counts.areReliable()).toBe(false);
  });

  it('is given after a count above 0, and lost when a fresh count is wrong', () => {
    const counts = new FolderCountReliability();
    counts.observe(folder(null, null), [folder(1, 0)], false);
    expect(counts.areReliable()).toBe(true);
    counts.observe(folder(1, 0), [file], true);
    expect(counts.areReliable()).toBe(true);
    counts.observe(folder(0, 0), [file], true);
    expect(counts.areReliable()).toBe(false);
    counts.observe(folder(1, 0), [file, folder(3, 3)], true);
    expect(counts.areReliable()).toBe(false);
  });

  it('is not lost because of a count that was known to be old', () => {
    const counts = new FolderCountReliability();
    counts.observe(folder(null, null), [folder(1, 0)], false);
    counts.observe(folder(7, 0), [file], false);
    expect(counts.areReliable()).toBe(true);
  });
});
