/** A QR code as lines for a terminal: two rows of modules a line, as characters are about twice as high as wide. */
import { generate } from 'lean-qr';

/** The light margin that readers need, modules (ISO/IEC 18004). */
const QUIET_ZONE = 4;
/** Black on bright white, whatever the terminal's own colours are, because many readers cannot read a light code on a dark ground. */
const colours = '\x1b[30;107m';
const end = '\x1b[0m';

/** Two modules above each other, by whether they are dark. */
const halves = { 'false false': ' ', 'true false': '▀', 'false true': '▄', 'true true': '█' } as const;

export interface QrCode {
  /** Width of a line, columns. */
  readonly width: number;
  readonly lines: readonly string[];
}

export function qrCode(text: string): QrCode {
  const code = generate(text);
  const width = code.size + 2 * QUIET_ZONE;
  const isDark = (x: number, y: number): boolean => code.get(x - QUIET_ZONE, y - QUIET_ZONE);
  const lines: string[] = [];
  for (let y = 0; y < width; y += 2) {
    const row = Array.from({ length: width }, (_, x) => halves[`${isDark(x, y)} ${isDark(x, y + 1)}`]);
    lines.push(`${colours}${row.join('')}${end}`);
  }
  return { width, lines };
}
