import { describe, expect, it } from 'vitest';
import { nextData, nextHole, type SeekableFile } from '../../src/spool/sparse.js';

/** A file drawn as one letter a byte: `d` data, `.` a hole, `?` what is to be fetched, where the local file has a hole. */
function fileOf(drawing: string): SeekableFile {
  const missing = [...drawing.matchAll(/\?+/g)].map(({ index, 0: run }) => [index, index + run.length] as const);
  const local = (offset: number, forHole: boolean): number | null => {
    const found = [...drawing].findIndex((letter, at) => at >= offset && (letter === 'd') !== forHole);
    return found < 0 ? null : found;
  };
  return { size: drawing.length, missing, local };
}

describe('holes', () => {
  it.each([
    'd',
    '.',
    '?',
    'dd..dd',
    '..dd..',
    '??..dd',
    'dd??..',
    '..??..??',
    'd.?d?.d',
    '?',
    '????dddd....',
    '.?.?.?',
  ])('of %s are where they are drawn', (drawing) => {
    const file = fileOf(drawing);
    for (let at = 0; at < drawing.length; at++) {
      const data = [...drawing].findIndex((letter, index) => index >= at && letter !== '.');
      const hole = drawing.indexOf('.', at);
      expect([at, nextData(file, at)]).toEqual([at, data < 0 ? null : data]);
      expect([at, nextHole(file, at)]).toEqual([at, hole < 0 ? drawing.length : hole]);
    }
  });

  it('are none where the disk cannot tell', () => {
    const file = { ...fileOf('..??..'), local: (offset: number, forHole: boolean) => (forHole ? null : offset) };
    expect([nextData(file, 0), nextHole(file, 0)]).toEqual([0, 6]);
  });
});
