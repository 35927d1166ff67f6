import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take longest, in this order: whatever is short fills up the end of the run, when a long file would leave one
 * worker alone. `scripts/test` prints what took long.
 */
const longest = ['test/mount/faults/', 'test/mount/', 'test/contract/', 'test/soak/', 'test/'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification): number => {
      const path = relative(this.ctx.config.root, moduleId);
      return longest.findIndex((start) => path.startsWith(start));
    };
    return (await super.sort(files)).sort((a, b) => rankOf(a) - rankOf(b));
  }
}

/** Tests that start processes, mount, or look at a process as a whole: each file in a process of its own. */
const ofProcesses = ['test/mount/**', 'test/fuse/**', 'test/soak/**', 'test/load/**', 'test/sandbox/process.test.ts'];

export default defineConfig({
  test: {
    // For two cores: a test of a mount waits for a third of its time, for deadlines, polls and starting programs.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // In the quick run a service may have no turn in a file. A file without any test is a failure of scripts/test.
    passWithNoTests: process.env.SYNCMOUNT_TEST_ALL !== '1',
    // Four times of what the longest take on a machine that has others to serve: the limits end what hangs, and judge nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000, interval: 50 } },
    projects: [
      {
        extends: true,
        test: { name: 'mounts', include: ofProcesses.map((path) => path.replace(/\*\*$/, '**/*.test.ts')) },
      },
      // One process for many files: loading what they share takes longer than most of them.
      { extends: true, test: { name: 'units', include: ['test/**/*.test.ts'], exclude: ofProcesses, isolate: false } },
    ],
  },
});
