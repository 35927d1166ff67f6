import { generate } from 'lean-qr';
import { describe, expect, it } from 'vitest';
import { qrCode } from '../../src/cli/terminal/qr.js';

const before = '\x1b[30;107m';
const after = '\x1b[0m';

/** The dark modules of the lines, as a reader sees them. */
function modulesOf(lines: readonly string[]): boolean[][] {
  return lines.flatMap((line) => {
    expect([line.startsWith(before), line.endsWith(after)]).toEqual([true, true]);
    const row = [...line.slice(before.length, -after.length)];
    return [row.map((half) => '▀█'.includes(half)), row.map((half) => '▄█'.includes(half))];
  });
}

describe.each(['https://www.4shared.com/file/NxLbjwFIba/report.html', 'x', 'https://example.com/é?'.repeat(10)])(
  'the QR code of %s',
  (text) => {
    it('has every module of the code in its place, and four light ones around it', () => {
      const { width, lines } = qrCode(text);
      const code = generate(text);
      expect(width).toBe(code.size + 8);
      const modules = modulesOf(lines);
      expect(modules.every((row) => row.length === width)).toBe(true);
      for (let y = 0; y < modules.length; y++)
        for (let x = 0; x < width; x++) {
          const isWithin = Math.min(x, y) >= 4 && Math.max(x, y) < code.size + 4;
          expect(modules[y]?.[x], `${x} ${y}`).toBe(isWithin && code.get(x - 4, y - 4));
        }
    });
  },
);
