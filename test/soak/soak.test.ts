// @module-tag long
import { expect, it } from 'vitest';
import { isComplete } from '../support/extent.js';
import { soak } from './soak.js';

/** The same work every time, but kills from outside come at different moments. `scripts/soak` takes other seeds. */
const SEED = 20;

/** With fewer rounds, some kinds of kill would hardly happen. */
const ROUNDS = isComplete ? 15 : 8;

it(`a mount killed ${ROUNDS} times at random moments and between journal steps loses nothing, and leaves nothing behind`, {
  timeout: 240_000,
}, async () => {
  const lines: string[] = [];
  const result = await soak({ provider: '4shared', rounds: ROUNDS, seed: SEED, report: (line) => lines.push(line) });
  expect(result.rounds, lines.join('\n')).toBe(ROUNDS);
  expect(result.outsideKills).toBeGreaterThan(0);
  expect(result.journalKills + result.recoveryKills).toBeGreaterThan(0);
});
