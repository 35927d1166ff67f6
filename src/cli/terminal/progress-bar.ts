/** How far something is: a bar on standard error where that is a terminal (cli-progress asks), elsewhere nothing. */
import { Presets, SingleBar } from 'cli-progress';

/** Of what is done in a moment nothing is shown, ms. */
const SHOWN_AFTER_MS = 500;

export class ProgressBar {
  readonly #bar: SingleBar;
  readonly #begun = performance.now();
  #isShown = false;

  /** `format`: what stands around `{bar}`, `{percentage}` and `{told}`. */
  constructor(format: string) {
    this.#bar = new SingleBar({ format, clearOnComplete: true }, Presets.shades_classic);
  }

  /** Whether a line of it is on the terminal. */
  get isShown(): boolean {
    return this.#isShown;
  }

  show(done: number, all: number, told: string): void {
    const total = Math.max(all, 1);
    if (this.#isShown) {
      this.#bar.setTotal(total);
      this.#bar.update(done, { told });
    } else if (performance.now() - this.#begun > SHOWN_AFTER_MS) {
      this.#bar.start(total, done, { told });
      this.#isShown = true;
    }
  }

  stop(): void {
    this.#bar.stop();
  }
}
