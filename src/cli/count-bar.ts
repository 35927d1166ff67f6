/** A bar on a terminal that counts what is done of so many things; elsewhere nothing. */
import { SingleBar } from 'cli-progress';

/** Of what is done in a moment nothing is shown, ms. */
const SHOWN_AFTER_MS = 500;

export interface CountBar {
  show(done: number): void;
  stop(): void;
  done(): number;
}

/** `doing`: `removing`. */
export function countBar(doing: string, all: number): CountBar {
  const bar = process.stderr.isTTY
    ? new SingleBar({ format: `${doing} {bar} {percentage}% | {value} of {total}`, clearOnComplete: true })
    : null;
  const begun = performance.now();
  let last = 0;
  let isStarted = false;
  return {
    done: () => last,
    show(done) {
      last = done;
      if (isStarted) bar?.update(done);
      else if (performance.now() - begun > SHOWN_AFTER_MS) {
        bar?.start(all, done);
        isStarted = true;
      }
    },
    stop() {
      if (isStarted) bar?.stop();
    },
  };
}
