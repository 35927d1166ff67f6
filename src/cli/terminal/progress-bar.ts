/** A progress bar on standard error, if that is a terminal (cli-progress checks that); otherwise nothing. */
import { Presets, SingleBar } from 'cli-progress';

/** Work that ends within this time shows no bar, ms. */
const SHOWN_AFTER_MS = 500;

export class ProgressBar {
  readonly #bar: SingleBar;
  readonly #begun = performance.now();
  #isShown = false;

  /** `format`: the line with its places `{bar}`, `{percentage}` and `{told}`. */
  constructor(format: string) {
    this.#bar = new SingleBar({ format, clearOnComplete: true }, Presets.shades_classic);
  }

  /** Whether the bar is on the terminal. */
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
