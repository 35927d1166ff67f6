import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { shellWord } from '../../src/base/shell-word.js';

const texts = [
  '/mnt/work',
  '/media/my cloud',
  '/home/ann/Büro',
  "it's",
  '$HOME',
  '`id`',
  'a"b',
  'a\\b',
  '~$x',
  'a;b',
  'a&b',
  '!x',
  '*',
  '',
];

describe('a word of a command to copy', () => {
  it.each(['sh', 'bash'])('is the same text again in %s', (shell) => {
    const script = texts.map((text) => `printf '%s\\0' ${shellWord(text)}`).join('\n');
    expect(execFileSync(shell, ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(texts);
  });

  it('has quotes only where it needs them', () => {
    expect(texts.slice(0, 4).map(shellWord)).toEqual(['/mnt/work', '"/media/my cloud"', '/home/ann/Büro', `"it's"`]);
  });
});
