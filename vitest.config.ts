import { spawnSync } from 'node:child_process';
import { dirname, relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { bundledSources } from './test/support/bundled-sources.js';

/**
 * What takes longest first: whatever is short fills up the end of the run, when a long file would leave one worker alone.
 * `scripts/test` prints what took long.
 */
const longest = ['test/mount/', 'test/contract/', 'test/soak/', 'test/'];
/** Each of these keeps the machine busy with a dozen mounts, whose requests have deadlines: so many others stand in between. */
const matrices = 'test/mount/faults/';
const BETWEEN = 6;

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const pathOf = ({ moduleId }: TestSpecification): string => relative(this.ctx.config.root, moduleId);
    const rankOf = (file: TestSpecification): number => longest.findIndex((start) => pathOf(file).startsWith(start));
    const sorted = (await super.sort(files)).sort((a, b) => rankOf(a) - rankOf(b));
    const isMatrix = (file: TestSpecification): boolean => pathOf(file).startsWith(matrices);
    const order = sorted.filter((file) => !isMatrix(file));
    for (const [index, file] of sorted.filter(isMatrix).entries()) order.splice(index * (BETWEEN + 1), 0, file);
    return order;
  }
}

/**
 * Node.js 20 reads the certificates that this variable names at every start, and the tests start it some thousand times: 60 ms of
 * CPU each. They speak to this machine alone, but for the packages' (see there).
 */
if (process.env.NODE_EXTRA_CA_CERTS !== undefined) {
  process.env.SYNCMOUNT_TEST_CA_CERTS = process.env.NODE_EXTRA_CA_CERTS;
  delete process.env.NODE_EXTRA_CA_CERTS;
}

/**
 * Where `python3` is the script of a version manager (pyenv), it takes 0.6 s of CPU to start, of which Python itself takes a tenth,
 * and the tests start it some thousand times: they find Python itself first.
 */
const { stdout } = spawnSync('sh', ['-c', 'command -v python3 && exec python3 -c "import sys; print(sys.executable)"']);
const [found, python] = `${stdout}`.trim().split('\n');
if (python !== undefined && python !== found) process.env.PATH = `${dirname(python)}:${process.env.PATH}`;

/** Tests whose programs are processes of their own. */
const ofMounts = ['test/mount/**'];
/** Tests that mount in their own process, or look at it as a whole: each file has one. */
const ofProcesses = ['test/fuse/**', 'test/soak/**', 'test/load/**', 'test/package/**', 'test/sandbox/process.test.ts'];

const testsOf = (paths: readonly string[]): string[] => paths.map((path) => path.replace(/\*\*$/, '**/*.test.ts'));

export default defineConfig({
  test: {
    // For two cores: a test of a mount waits for half of its time, for deadlines, polls and starting programs. The complete
    // matrix has whole files of mounts with short deadlines; three of those at once are late now and then.
    maxWorkers: process.env.SYNCMOUNT_TEST_ALL === '1' ? 2 : 4,
    sequence: { sequencer: LongestFirst },
    tags: [
      { name: 'long', description: 'Takes ten times as long as most: scripts/test --long, which CI runs, has it.' },
    ],
    // A service may have no turn in a file, or in a part of one. A file without any test is a failure of scripts/test.
    passWithNoTests: true,
    setupFiles: ['test/support/processor-time.ts'],
    globalSetup: ['test/support/open-device.ts'],
    // Four times of what the longest take on a machine that has others to serve: the limits end what hangs, and judge nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000, interval: 100 } },
    projects: [
      // One process for many files: to load what they share takes longer than many of them.
      {
        extends: true,
        plugins: [bundledSources()],
        test: {
          name: 'mounts',
          setupFiles: ['test/support/mount-hosts.ts'],
          include: testsOf(ofMounts),
          isolate: false,
        },
      },
      {
        extends: true,
        plugins: [bundledSources()],
        test: { name: 'processes', setupFiles: ['test/support/mount-hosts.ts'], include: testsOf(ofProcesses) },
      },
      {
        extends: true,
        test: {
          name: 'units',
          include: ['test/**/*.test.ts'],
          exclude: [...ofMounts, ...ofProcesses],
          isolate: false,
        },
      },
    ],
  },
});
