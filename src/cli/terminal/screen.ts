/**
 * A view that fills the terminal and is redrawn in place, as in `top`. It uses the terminal's second screen, so that the earlier text comes
 * back at the end. Invariant: the terminal is restored whatever ends the process, except SIGKILL.
 */
import { printable } from '../../base/printable.js';

/** xterm's sequences, which all terminals of today know: second screen, cursor, wrapping of long lines. */
const enter = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const leave = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const home = '\x1b[H';
const clearLine = '\x1b[K';
const clearBelow = '\x1b[J';

/** The lines as they are written to a terminal with this many rows. The terminal is not cleared first, so that nothing flickers. */
export function drawn(lines: readonly string[], rows: number): string {
  const fit = Math.max(1, rows);
  const hidden = lines.length - fit + 1;
  const shown = lines.length <= fit ? lines : [...lines.slice(0, fit - 1), `and ${hidden} more lines`];
  return `${home}${shown.map((line) => `${printable(line)}${clearLine}`).join('\r\n')}${clearBelow}`;
}

export class Screen {
  readonly #out: NodeJS.WriteStream;
  #lines: readonly string[] = [];
  readonly #redraw = (): void => this.draw(this.#lines);
  readonly #restore = (): void => void this.#out.write(leave);
  readonly #interrupt = (): void => process.exit(0);
  /** Ctrl-Z: the shell gets its screen, and `fg` brings this one back. */
  readonly #suspend = (): void => {
    this.#restore();
    process.kill(process.pid, 'SIGSTOP');
  };
  readonly #resume = (): void => {
    this.#out.write(enter);
    this.#redraw();
  };

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    out.write(enter);
    out.on('resize', this.#redraw);
    process.on('exit', this.#restore);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, this.#interrupt);
    process.on('SIGTSTP', this.#suspend);
    process.on('SIGCONT', this.#resume);
  }

  draw(lines: readonly string[]): void {
    this.#lines = lines;
    this.#out.write(drawn(lines, this.#out.rows));
  }

  end(): void {
    this.#out.off('resize', this.#redraw);
    process.off('exit', this.#restore);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.#interrupt);
    process.off('SIGTSTP', this.#suspend);
    process.off('SIGCONT', this.#resume);
    this.#restore();
  }
}
