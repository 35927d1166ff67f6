import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

/** What `scripts/package` does after it has built the program. `args`: those of `scripts/package`, without `--out`. */
export function buildPackages(args: readonly string[], out: string, umask = '022'): void {
  const script = `umask ${umask}; exec "$0" scripts/packaging/main.mjs "$@"`;
  // Where the checkout has no history, the time of the files is the same all the same.
  const env: NodeJS.ProcessEnv = { ...process.env, SOURCE_DATE_EPOCH: '1700000000' };
  // It fetches from the npm registry, through whatever stands between (vitest.config.ts).
  if (env.SYNCMOUNT_TEST_CA_CERTS !== undefined) env.NODE_EXTRA_CA_CERTS = env.SYNCMOUNT_TEST_CA_CERTS;
  execFileSync('sh', ['-c', script, process.execPath, ...args, '--out', out], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** The name of the package in a folder that ends so. */
export const packageNamed = (folder: string, end: string): string =>
  readdirSync(folder).find((name) => name.endsWith(end)) ?? '';
