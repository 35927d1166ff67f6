/** `scripts/soak`, once everything is built. */
import { parseArgs } from 'node:util';
import { type ProviderName, providerNames } from '../../src/sandbox/index.js';
import { SoakFailure, soak } from './soak.js';

const help = 'usage: scripts/soak [--rounds N] [--seed S] [--provider 4shared|4sync|5sync|acronis]';

function options(): { rounds: number; seed: number; provider: ProviderName } {
  const { values } = parseArgs({
    options: { rounds: { type: 'string' }, seed: { type: 'string' }, provider: { type: 'string' } },
  });
  const rounds = Number(values.rounds ?? 300);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const provider = providerNames.find((name) => name === (values.provider ?? '4shared'));
  if (!Number.isInteger(rounds) || !Number.isInteger(seed) || provider === undefined) throw new Error('bad value');
  return { rounds, seed, provider };
}

/** The exit status: 0 where every round went well, 2 for bad usage. */
export async function main(): Promise<number> {
  let chosen: ReturnType<typeof options>;
  try {
    chosen = options();
  } catch {
    console.error(help);
    return 2;
  }
  const { rounds, seed, provider } = chosen;
  console.log(`${provider}, ${rounds} rounds, seed ${seed}`);
  try {
    const result = await soak({ ...chosen, report: (line) => console.log(line) });
    const { operations, outsideKills, journalKills, recoveryKills, stuck } = result;
    console.log(
      `passed: ${result.rounds} rounds, ${operations} operations; killed ${outsideKills} times from outside, ` +
        `${journalKills} between two journal steps of the work, ${recoveryKills} of the recovery; ` +
        `${stuck} stuck`,
    );
    return 0;
  } catch (error) {
    console.error(error instanceof SoakFailure ? error.message : error);
    console.log(
      `FAILED; again (timing permitting): scripts/soak --provider ${provider} --rounds ${rounds} --seed ${seed}`,
    );
    return 1;
  }
}
