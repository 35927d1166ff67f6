import { describe, expect, it } from 'vitest';
import type { RemoteEntry, RemoteFolder } from '../../src/providers/provider.js';
import { CountTrust } from '../../src/tree/count-trust.js';

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

describe('the trust in counts', () => {
  it('is not given to a server that never reported a count above 0', () => {
    const trust = new CountTrust();
    trust.learn(folder(null, null), [folder(0, 0), folder(0, 0)], false);
    expect(trust.areTrusted()).toBe(false);
  });

  it('is given after a count above 0, and lost when a fresh count is wrong', () => {
    const trust = new CountTrust();
    trust.learn(folder(null, null), [folder(1, 0)], false);
    expect(trust.areTrusted()).toBe(true);
    trust.learn(folder(1, 0), [file], true);
    expect(trust.areTrusted()).toBe(true);
    trust.learn(folder(0, 0), [file], true);
    expect(trust.areTrusted()).toBe(false);
    trust.learn(folder(1, 0), [file, folder(3, 3)], true);
    expect(trust.areTrusted()).toBe(false);
  });

  it('is not lost because of a count that was known to be old', () => {
    const trust = new CountTrust();
    trust.learn(folder(null, null), [folder(1, 0)], false);
    trust.learn(folder(7, 0), [file], false);
    expect(trust.areTrusted()).toBe(true);
  });
});
